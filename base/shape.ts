import { type ErrorCode, TapwardenError } from './errors.ts';
import { quoteText } from './escape.ts';

/**
 * Reads one value of unknown form and returns it typed, or throws with the path of what was wrong. Shapes refuse keys
 * that they do not name, so that what passed is exactly what the type says.
 */
export type Shape<T> = (value: unknown, path: string) => T;

/** The type that a shape returns. */
export type ShapeOf<S> = S extends Shape<infer T> ? T : never;

class Mismatch extends Error {
  readonly path: string;

  constructor(path: string, message: string) {
    super(message);
    this.path = path.slice(0, 200);
  }
}

/**
 * Applies a shape to a value.
 *
 * @throws `code`, with `details` `{path}`, when the value does not fit: "what" names the value in the message
 */
export function readShape<T>(shape: Shape<T>, value: unknown, what: string, code: ErrorCode): T {
  try {
    return shape(value, '$');
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    throw new TapwardenError(code, {
      message: `${what} does not have the form that it must have: ${error.message}`,
      details: { path: error.path },
    });
  }
}

/** A string of at most `maxLength` characters, matching `pattern` where one is given. */
export function text(maxLength: number, pattern?: RegExp): Shape<string> {
  return (value, path) => {
    if (typeof value !== 'string') return mismatch(path, 'a string', value);
    if (value.length > maxLength) return mismatch(path, `at most ${maxLength} characters`, value);
    if (pattern !== undefined && !pattern.test(value)) return mismatch(path, `a string like ${pattern.source}`, value);
    return value;
  };
}

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Shape<number> {
  return (value, path) =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max
      ? value
      : mismatch(path, `a whole number from ${min} to ${max}`, value);
}

/** `true` or `false`. */
export const flag: Shape<boolean> = (value, path) =>
  typeof value === 'boolean' ? value : mismatch(path, 'true or false', value);

/** One of the words given. */
export function oneOf<const T extends string>(...words: readonly T[]): Shape<T> {
  return (value, path) => words.find((word) => word === value) ?? mismatch(path, words.join(' or '), value);
}

/** What the shape reads, or `null`. */
export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return (value, path) => (value === null ? null : shape(value, path));
}

/** A list of at most `maxLength` values of one shape. */
export function list<T>(shape: Shape<T>, maxLength: number): Shape<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length > maxLength) {
      return mismatch(path, `a list of at most ${maxLength} values`, value);
    }
    return value.map((item, index) => shape(item, `${path}[${index}]`));
  };
}

/** An object with any keys up to `maxKeys` and values of one shape. */
export function dictionary<T>(shape: Shape<T>, maxKeys: number): Shape<Readonly<Record<string, T>>> {
  return (value, path) => {
    if (!isPlainObject(value) || Object.keys(value).length > maxKeys) {
      return mismatch(path, `an object of at most ${maxKeys} keys`, value);
    }
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shape(item, `${path}.${key}`)]));
  };
}

/** An object with exactly the keys of `fields`. */
export function object<F extends Readonly<Record<string, Shape<unknown>>>>(
  fields: F,
): Shape<{ readonly [K in keyof F]: ShapeOf<F[K]> }> {
  return (value, path) => {
    if (!isPlainObject(value)) return mismatch(path, 'an object', value);
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(fields, key)) mismatch(`${path}.${key}`, 'no such key', value[key]);
    }
    const entries = Object.entries(fields).map(([key, shape]) => [key, shape(own(value, key), `${path}.${key}`)]);
    return Object.fromEntries(entries) as { readonly [K in keyof F]: ShapeOf<F[K]> };
  };
}

/** One of several objects, told apart by the word under `kind`. */
export function union<V extends Readonly<Record<string, Shape<unknown>>>>(variants: V): Shape<ShapeOf<V[keyof V]>> {
  return (value, path) => {
    const kind = isPlainObject(value) ? own(value, 'kind') : undefined;
    const shape = typeof kind === 'string' && Object.hasOwn(variants, kind) ? variants[kind] : undefined;
    if (shape === undefined) return mismatch(`${path}.kind`, Object.keys(variants).join(' or '), kind);
    return shape(value, path) as ShapeOf<V[keyof V]>;
  };
}

/** A value that another parser checks later. */
export const unchecked: Shape<unknown> = (value) => value;

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function own(value: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function mismatch(path: string, wanted: string, value: unknown): never {
  throw new Mismatch(path, `${quoteText(path, 200)} must be ${wanted}, found ${describe(value)}`);
}

/** A list or object is not shown: it may be as deep as its sender likes, and JSON.stringify recurses. */
function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length} values`;
  if (value !== null && typeof value === 'object') return 'an object';
  return quoteText(typeof value === 'string' ? JSON.stringify(value.slice(0, 120)) : String(value), 120);
}
