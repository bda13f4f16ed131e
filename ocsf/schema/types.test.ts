import test from 'ava';
import type { ActivityOf, EventOf, IdOf, ObjectOf } from './types.ts';

/** Fails to compile unless both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

const proofs: readonly true[] = [
  true satisfies Same<IdOf<'severity_id'>, 0 | 1 | 2 | 3 | 4 | 5 | 6 | 99>,
  true satisfies Same<IdOf<'http_request.http_method'> & 'GET', 'GET'>,
  true satisfies Same<Extract<IdOf<'observable.type_id'>, 48 | 49 | 99>, 48 | 99>,
  true satisfies Same<IdOf<'protocol_ver_id'>, 0 | 4 | 6 | 99>,
  true satisfies Same<ActivityOf<5019>, 0 | 1 | 2 | 99>,
  true satisfies Same<ActivityOf<4002>, 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 99>,
  true satisfies Same<ObjectOf<'process'>['name'], string | undefined>,
  true satisfies Same<ObjectOf<'network_traffic'>['bytes'], number | undefined>,
  true satisfies Same<ObjectOf<'dns_answer'>['flag_ids'], readonly IdOf<'flag_ids'>[] | undefined>,
  true satisfies Same<EventOf<6002>['app'], ObjectOf<'product'> | undefined>,
  true satisfies Same<EventOf<4001>['class_uid'], 4001>,
  true satisfies Same<EventOf<4001>['start_time_dt'], string | undefined>,
  true satisfies Same<EventOf<2004>['status_id'], IdOf<'detection_finding.status_id'> | undefined>,
];

const event: EventOf<1007> = {
  class_uid: 1007,
  activity_id: 1,
  category_uid: 1,
  type_uid: 100701,
  severity_id: 1,
  time: 1,
  metadata: { version: '1.8.0', product: { name: 'x' } },
  device: { type_id: 6, os: { name: 'Linux', type_id: 200 }, container: { uid: 'c' } },
  actor: { user: { name: 'a' } },
  process: { pid: 1, parent_process: { pid: 0, file: { name: 'f', type_id: 8 } } },
};

// @ts-expect-error: a device without its type
const typeless: ObjectOf<'device'> = { uid: 'a' };
// @ts-expect-error: an id that the enum has not
const unknownId: ObjectOf<'device'> = { uid: 'a', type_id: 16 };
// @ts-expect-error: an attribute that the object has not
const surprise: ObjectOf<'os'> = { name: 'Linux', type_id: 200, surprise: 1 };
// @ts-expect-error: an attribute of another class
const foreign: EventOf<1007> = { ...event, dst_endpoint: { ip: '::1' } };
// @ts-expect-error: text where a number belongs
const text: ObjectOf<'network_endpoint'> = { ip: '::1', port: '1' };

test('types: what the compiler reads out of the lines is what they say', (t) => {
  t.true(proofs.every(Boolean));
  for (const value of [event, typeless, unknownId, surprise, foreign, text]) t.is(typeof value, 'object');
});
