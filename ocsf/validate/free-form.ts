import { maxDepth, reportError, reportWarning, spend, type Walk } from './problem.ts';

/**
 * Checks a value of which the schema says nothing: that it is JSON, and neither too deep nor too large. `null` inside
 * it is a warning only: OCSF knows absence alone, but what a source says in its own words is not ours to refuse.
 */
export function checkFreeForm(value: unknown, key: string | number, walk: Walk): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return;
    case 'number':
      if (!Number.isFinite(value)) reportError(walk, 'range', key, value, 'must be a finite number');
      else if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        reportWarning(walk, 'range', key, value, 'is an integer that not every reader holds exactly');
      }
      return;
    case 'object':
      if (value === null) reportWarning(walk, 'null', key, undefined, 'is null: OCSF says absent by leaving out');
      else checkParts(value, key, walk);
      return;
    case 'undefined':
      reportError(walk, 'undefined', key, undefined, 'is undefined: leave it out');
      return;
    default:
      reportError(walk, 'type', key, value, `is a ${typeof value}, which JSON has not`);
  }
}

function checkParts(value: object, key: string | number, walk: Walk): void {
  if (walk.depth >= maxDepth) {
    reportError(walk, 'depth', key, undefined, `is nested deeper than ${maxDepth} levels`);
    return;
  }
  walk.path[walk.depth] = key;
  walk.depth += 1;
  if (Array.isArray(value)) {
    if (spend(walk, value.length)) for (let i = 0; i < value.length; i += 1) checkFreeForm(value[i], i, walk);
  } else {
    const keys = Object.keys(value);
    if (spend(walk, keys.length)) for (const name of keys) checkFreeForm(Reflect.get(value, name), name, walk);
  }
  walk.depth -= 1;
}
