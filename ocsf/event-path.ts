/** A place in an event: the keys that lead there, and what is taken of lists on the way. */
export type EventPath = readonly PathStep[];

type PathStep =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'each' };

/**
 * Reads a path as OCSF writes it: keys with dots between them, `[]` for each element of a list, `[0]` for one.
 * `undefined` where it is none. Example: `attacks[].technique.uid`.
 */
export function parseEventPath(text: string): EventPath | undefined {
  const steps: PathStep[] = [];
  for (const part of text.split('.')) {
    const [, key, indexes] = /^([^.[\]]+)((?:\[\d{0,9}\])*)$/.exec(part) ?? [];
    if (key === undefined) return undefined;
    steps.push({ kind: 'key', key });
    for (const [, index] of (indexes ?? '').matchAll(/\[(\d*)\]/g)) {
      steps.push(index === '' ? { kind: 'each' } : { kind: 'index', index: Number(index) });
    }
  }
  return steps;
}

/**
 * Whether `holds` is true of a value at a path. A list where the path names none stands for each of its elements, so that
 * `metadata.labels` is every label, and `attacks.technique.uid` every technique. Of a list in a list that is not so: how
 * deep the search goes follows from the path and not from the event.
 */
export function someValue(event: object, path: EventPath, holds: (value: unknown) => boolean): boolean {
  return someOf(event, path, 0, holds);
}

function someOf(value: unknown, path: EventPath, at: number, holds: (value: unknown) => boolean): boolean {
  const step = path[at];
  if (step?.kind === 'index') return Array.isArray(value) && someOf(value[step.index], path, at + 1, holds);
  if (step?.kind === 'each') return Array.isArray(value) && value.some((part) => someOf(part, path, at + 1, holds));
  if (!Array.isArray(value)) return someIn(value, path, at, holds);
  return value.some((part) => !Array.isArray(part) && someIn(part, path, at, holds));
}

/** Of a value that is no list, where the path has a key next or ends. */
function someIn(value: unknown, path: EventPath, at: number, holds: (value: unknown) => boolean): boolean {
  const step = path[at];
  if (step?.kind !== 'key') return value !== undefined && holds(value);
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step.key)) return false;
  return someOf(Reflect.get(value, step.key), path, at + 1, holds);
}
