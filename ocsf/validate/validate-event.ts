import { TapwardenError } from '../../base/index.ts';
import { deepFreeze } from '../frozen.ts';
import type { EventClassUid } from '../schema/classes.ts';
import type { ObjectName } from '../schema/objects.ts';
import { isEventClassUid, membersOfClass } from '../schema/table.ts';
import { isSchemaVersion, type SchemaVersion, schemaVersions } from '../schema/versions.ts';
import {
  type CompiledMembers,
  checkMembers,
  checkObject,
  compileMembers,
  createObjectSource,
  type ObjectSource,
  profileBits,
} from './compile.ts';
import { checkAggregate, checkType } from './event-rules.ts';
import { checkObservables } from './observables.ts';
import { isPlain } from './plain.ts';
import { type Findings, reportError, reportWarning, shown, startWalk, type Walk } from './problem.ts';

/** How an event is validated. */
export type ValidateOptions = {
  /** The version to hold the event against. Default: its own `metadata.version`. */
  readonly version?: SchemaVersion;
  /** Whether to look for what is merely advised. It costs several times as much as the errors do. Default: true. */
  readonly warnings?: boolean;
};

/** One version of the table, made ready as far as it was needed. */
type Ready = { readonly source: ObjectSource; readonly classes: Map<EventClassUid, CompiledMembers> };

// Making a class ready takes milliseconds. What is kept are functions of the table, and which frozen objects are known
// to be valid, so that nobody can tell that it is kept but by the time it takes.
const ready = new Map<SchemaVersion, Ready>();

const nothing: Findings = Object.freeze({ errors: Object.freeze([]), warnings: Object.freeze([]) });

/**
 * Validates an event against the OCSF table: its attributes and their requirement, types, forms, ranges, enums and
 * captions, constraints, profiles, and what binds one attribute to another. It never throws, and both its time and its
 * findings are bounded, whatever the event is. docs/ocsf-validator.md lists the rules.
 *
 * Example: `{errors: [{path: 'dst_endpoint.port', rule: 'range', value: 70000, message: 'must be from 0 to 65535: …'}],
 * warnings: []}`.
 */
export function validateEvent(event: unknown, options: ValidateOptions = {}): Findings {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    return refuse('object', '', event, `must be an object: got ${shown(event)}`);
  }
  const classUid = ownOf(event, 'class_uid');
  if (!isEventClassUid(classUid)) {
    return refuse('class', 'class_uid', classUid, `must be a class of the table: got ${shown(classUid)}`);
  }
  const metadata = ownOf(event, 'metadata');
  const version = options.version ?? ownOf(metadata, 'version');
  if (!isSchemaVersion(version)) {
    const message = `must be one of ${schemaVersions.join(', ')}: got ${shown(version)}`;
    return refuse('version', 'metadata.version', version, message);
  }
  const listed = ownOf(metadata, 'profiles');
  const walk = startWalk(profilesIn(listed), options.warnings ?? true);
  const compiled = classOf(classUid, version);
  checkMembers(compiled, event, walk);
  checkType(classUid, compiled, event, walk);
  checkAggregate(event, walk);
  checkObservables(event, ownOf(event, 'observables'), walk);
  if (walk.wantsWarnings) adviseProfiles(listed, compiled, walk);
  return walk.errors.length + walk.warnings.length === 0 ? nothing : { errors: walk.errors, warnings: walk.warnings };
}

/**
 * Validates a part that many events share, freezes it with all that is in it, and returns it. From then on
 * {@link validateEvent} takes that very object as valid where the table wants an object of this name, at this version
 * and where the event lists the profiles that it needs; only a search for warnings looks into it again.
 *
 * @throws EVENT_INVALID when the part is not valid; then nothing is frozen
 */
export function sealPart<Part extends object>(name: ObjectName, part: Part, version: SchemaVersion): Part {
  const compiled = readyOf(version).source(name);
  const walk = startWalk(-1, false);
  checkObject(compiled, part, name, walk);
  const [error] = walk.errors;
  if (error !== undefined) {
    throw new TapwardenError('EVENT_INVALID', {
      message: `No event can hold this ${name}: ${error.path} ${error.message}`,
      hint: 'Correct what it was made from.',
      details: { path: error.path, rule: error.rule },
    });
  }
  deepFreeze(part);
  compiled.sealed ??= new WeakMap();
  compiled.sealed.set(part, walk.usedProfiles);
  return part;
}

function refuse(rule: 'object' | 'class' | 'version', path: string, value: unknown, message: string): Findings {
  const walk = startWalk(0, false);
  reportError(walk, rule, path, value, message);
  return { errors: walk.errors, warnings: [] };
}

/** `key` is none that every object inherits. */
function ownOf(value: unknown, key: 'class_uid' | 'metadata' | 'version' | 'profiles' | 'observables'): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return isPlain(value) || Object.hasOwn(value, key) ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
}

function profilesIn(listed: unknown): number {
  let bits = 0;
  if (Array.isArray(listed)) for (const name of listed) bits |= profileBits.get(name) ?? 0;
  return bits;
}

/** A profile of which the class has no attribute, or that nobody knows, is no error, but seldom what was meant. */
function adviseProfiles(listed: unknown, compiled: CompiledMembers, walk: Walk): void {
  if (!Array.isArray(listed)) return;
  for (const [index, name] of listed.entries()) {
    if (profileBits.has(name)) continue;
    reportWarning(
      walk,
      'profile',
      `metadata.profiles[${index}]`,
      name,
      `is no profile of ${compiled.title} that we know`,
    );
  }
}

function classOf(uid: EventClassUid, version: SchemaVersion): CompiledMembers {
  const { classes, source } = readyOf(version);
  const known = classes.get(uid);
  if (known !== undefined) return known;
  const compiled = compileMembers(membersOfClass(uid, version), version, source);
  classes.set(uid, compiled);
  return compiled;
}

function readyOf(version: SchemaVersion): Ready {
  const known = ready.get(version);
  if (known !== undefined) return known;
  const made = { source: createObjectSource(version), classes: new Map<EventClassUid, CompiledMembers>() };
  ready.set(version, made);
  return made;
}
