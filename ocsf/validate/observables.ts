import { objectObservables } from '../schema/enums.ts';
import { isPlain } from './plain.ts';
import { reportError, reportWarning, shown, spend, type Walk } from './problem.ts';

/**
 * Checks that every observable names an attribute that the event has, and that one of an object has no value. An index
 * may be left out or empty, which means any item: `answers[0].rdata`, `answers[].rdata`, `answers.rdata`.
 */
export function checkObservables(event: object, observables: unknown, walk: Walk): void {
  if (!Array.isArray(observables)) return;
  walk.path[walk.depth] = 'observables';
  walk.depth += 1;
  for (let index = 0; index < observables.length; index += 1) {
    const item: unknown = observables[index];
    if (typeof item !== 'object' || item === null) continue;
    walk.path[walk.depth] = index;
    walk.depth += 1;
    checkObservable(event, item as Observable, walk);
    walk.depth -= 1;
  }
  walk.depth -= 1;
}

type Observable = { readonly name?: unknown; readonly type_id?: unknown; readonly value?: unknown };

function checkObservable(event: object, observable: Observable, walk: Walk): void {
  const { name, type_id: typeId, value } = observable;
  if (typeof typeId === 'number' && objectObservables.has(typeId) && value !== undefined) {
    reportError(walk, 'observable', 'value', value, `must be absent: type_id ${typeId} stands for an object`);
  }
  if (typeof name !== 'string') return;
  const steps = stepsOf(name);
  const found: unknown[] = [];
  collect(event, steps, 0, found, walk);
  if (found.length === 0) {
    reportError(walk, 'observable', 'name', name, `must name an attribute of the event: ${shown(name)} is none`);
  } else if (walk.wantsWarnings && typeof value === 'string' && !found.some((part) => textOf(part) === value)) {
    reportWarning(walk, 'observable', 'value', value, `is not what stands at ${shown(name)}`);
  }
}

type Step = {
  readonly name: string;
  readonly index: number | undefined;
  /** Whether every object inherits something of this name, as of `constructor`. */
  readonly isInherited: boolean;
};

/** The paths that most events name, parted. They are few, and of the others the first are kept. */
const parted = new Map<string, readonly Step[]>();
const maxParted = 256;
const maxPartedLength = 128;

function stepsOf(path: string): readonly Step[] {
  const known = parted.get(path);
  if (known !== undefined) return known;
  const steps = partPath(path);
  if (parted.size < maxParted && path.length <= maxPartedLength) parted.set(path, steps);
  return steps;
}

/** A path that is malformed has a step that no object has. */
function partPath(path: string): readonly Step[] {
  return path.split('.').map((text) => {
    const [, name = text, index = ''] = /^([^[\]]+)\[(\d{0,9})\]$/.exec(text) ?? [];
    return { name, index: index === '' ? undefined : Number(index), isInherited: name in Object.prototype };
  });
}

/** Puts what stands at the end of the path into `found`. A path of a hundred thousand steps costs its own length. */
function collect(value: unknown, steps: readonly Step[], at: number, found: unknown[], walk: Walk): void {
  if (!spend(walk, 1)) return;
  if (Array.isArray(value)) {
    for (const item of value) collect(item, steps, at, found, walk);
    return;
  }
  const step = steps[at];
  if (step === undefined) {
    if (value !== null && value !== undefined) found.push(value);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if ((step.isInherited || !isPlain(value)) && !Object.hasOwn(value, step.name)) return;
  const part: unknown = (value as Readonly<Record<string, unknown>>)[step.name];
  if (step.index === undefined) collect(part, steps, at + 1, found, walk);
  else if (Array.isArray(part)) collect(part[step.index], steps, at + 1, found, walk);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'object' ? undefined : String(value);
}
