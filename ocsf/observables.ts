import type { JsonValue, Observable } from './event.ts';
import { objectMembers } from './schema/lookup.ts';
import type { IdOf } from './schema/types.ts';
import { defaultVersion, type SchemaVersion } from './schema/versions.ts';

/** The attributes that become observables, and the observable's type. A list stands for its items. */
const observablePaths = {
  'device.uid': 47,
  'actor.user.uid': 31,
  'actor.process.name': 9,
  'actor.process.pid': 15,
  'actor.process.cmd_line': 13,
  'process.name': 9,
  'process.pid': 15,
  'process.cmd_line': 13,
  'src_endpoint.ip': 2,
  'dst_endpoint.ip': 2,
  'dst_endpoint.hostname': 1,
  'dst_endpoint.port': 11,
  'query.hostname': 1,
  'http_request.url.url_string': 6,
  'http_request.user_agent': 16,
} as const satisfies Readonly<Record<string, IdOf<'observable.type_id'>>>;

/** A path of {@link observablePaths}, for example `device.uid`. */
export type ObservablePath = keyof typeof observablePaths;

const steps: readonly (readonly [ObservablePath, readonly string[]])[] = Object.keys(observablePaths).map((path) => [
  path as ObservablePath,
  path.split('.'),
]);

/** The observables of an event: what a search starts from, and where in the event it stands. */
export function observablesOf(
  event: Readonly<Record<string, JsonValue>>,
  version: SchemaVersion,
): readonly Observable[] {
  const found: Observable[] = [];
  for (const [path, keys] of steps) {
    let value: JsonValue | undefined = event;
    for (const key of keys) value = memberOf(value, key);
    if (typeof value === 'string' || typeof value === 'number') found.push(observableOf(path, String(value), version));
  }
  return found;
}

/** The observable for `value`, which stands at `path` of the event. */
export function observableOf(path: ObservablePath, value: string, version: SchemaVersion = defaultVersion): Observable {
  const typeId = observablePaths[path];
  return { name: path, type_id: typeId, type: captionOf(typeId, version), value };
}

function captionOf(typeId: number, version: SchemaVersion): string {
  const caption = objectMembers('observable', version)?.attributes.get('type_id')?.values?.get(typeId);
  return caption ?? String(typeId);
}

function memberOf(value: JsonValue | undefined, key: string): JsonValue | undefined {
  return typeof value === 'object' && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, JsonValue>>)[key]
    : undefined;
}
