import type { EventClassUid } from './classes.ts';
import type { ObjectName } from './objects.ts';
import { isObjectName, type Members, membersOfClass, membersOfObject } from './table.ts';
import type { SchemaVersion } from './versions.ts';

// Reading a class out of its line takes a fraction of a millisecond, and every event asks. The table never changes, so
// nobody can tell that what was read is kept.
const known = new Map<SchemaVersion, Map<EventClassUid | ObjectName, Members>>();

/** {@link membersOfClass}, read once. */
export function classMembers(uid: EventClassUid, version: SchemaVersion): Members {
  return kept(uid, version, () => membersOfClass(uid, version));
}

/** {@link membersOfObject}, read once; `undefined` where a type is no object of the table. */
export function objectMembers(type: ObjectName | string, version: SchemaVersion): Members | undefined {
  return isObjectName(type) ? kept(type, version, () => membersOfObject(type, version)) : undefined;
}

function kept(name: EventClassUid | ObjectName, version: SchemaVersion, read: () => Members): Members {
  const ofVersion = known.get(version) ?? new Map<EventClassUid | ObjectName, Members>();
  const found = ofVersion.get(name);
  if (found !== undefined) return found;
  const members = read();
  known.set(version, ofVersion.set(name, members));
  return members;
}
