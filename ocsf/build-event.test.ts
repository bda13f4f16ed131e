import test from 'ava';
import { isTapwardenError } from '../base/index.ts';
import { schemaAvailable, validateEvent as validateByAjv } from '../e2e/support/ocsf-schema.ts';
import { time } from '../e2e/support/sample-events.ts';
import { buildEvent, type EventInput } from './index.ts';

const metadata = { product: { name: 'resolver' } };
const query: EventInput<4003> = {
  class_uid: 4003,
  activity_id: 1,
  severity_id: 1,
  time,
  metadata,
  query: { hostname: 'example.com' },
  src_endpoint: { ip: '192.0.2.7' },
};

test('buildEvent fills ids, names, captions, version, profiles and observables', (t) => {
  const event = buildEvent({
    ...query,
    device: { type_id: 6, uid: 'a' },
    action_id: 1,
    disposition_id: 99,
    disposition: 'x',
  });
  t.like(event, {
    class_name: 'DNS Activity',
    category_uid: 4,
    category_name: 'Network Activity',
    activity_name: 'Query',
    type_uid: 400301,
    type_name: 'DNS Activity: Query',
    severity: 'Informational',
    action: 'Allowed',
    disposition: 'x',
    device: { type: 'Virtual' },
    metadata: { version: '1.8.0', profiles: ['host', 'security_control'] },
  });
  t.deepEqual(
    event.observables.map(({ name, type, value }) => [name, type, value]),
    [
      ['device.uid', 'Device Object: uid', 'a'],
      ['src_endpoint.ip', 'IP Address', '192.0.2.7'],
      ['query.hostname', 'Hostname', 'example.com'],
    ],
  );
  if (schemaAvailable() === undefined) t.deepEqual(validateByAjv(event), []);
});

test('buildEvent takes a version, profiles and observables that are given, and adds its own', (t) => {
  const event = buildEvent({
    ...query,
    metadata: { ...metadata, version: '1.7.0', profiles: ['cloud', 'host'] },
    cloud: { provider: 'example' },
    actor: { user: { uid: '1' } },
    observables: [{ name: 'query.hostname', type_id: 99, type: 'Domain', value: 'example.com' }],
  });
  t.is(event.metadata.version, '1.7.0');
  t.deepEqual(event.metadata.profiles, ['host', 'cloud']);
  t.deepEqual(
    event.observables.map(({ name }) => name),
    ['query.hostname', 'actor.user.uid', 'src_endpoint.ip', 'query.hostname'],
  );
});

test('buildEvent puts captions beside ids at any depth and in lists', (t) => {
  const event = buildEvent({
    class_uid: 1007,
    activity_id: 1,
    severity_id: 1,
    time,
    metadata,
    device: { type_id: 6, uid: 'a', container: { uid: 'c' }, os: { name: 'Linux', type_id: 200 } },
    actor: { user: { name: 'u', type_id: 2 } },
    process: { pid: 1, file: { name: 'f', type_id: 8, hashes: [{ algorithm_id: 3, value: 'aa' }] } },
  });
  t.is(event.process.file?.hashes?.[0]?.algorithm, 'SHA-256');
  t.is(event.actor.user?.type, 'Admin');
  t.is(event.device.os?.type, 'Linux');
  t.deepEqual(event.metadata.profiles, ['container']);
});

const refused: Readonly<Record<string, { readonly input: unknown; readonly path: string }>> = {
  'an unknown class': { input: { ...query, class_uid: 4099 }, path: 'class_uid' },
  'an unknown version': { input: { ...query, metadata: { ...metadata, version: '1.0.0' } }, path: 'metadata.version' },
  'an unknown activity': { input: { ...query, activity_id: 5 }, path: 'activity_id' },
  'an id that the enum has not': { input: { ...query, action_id: 7 }, path: 'action_id' },
  'an activity 99 without its label': { input: { ...query, activity_id: 99 }, path: 'activity_id' },
  'an id 99 without its label': { input: { ...query, disposition_id: 99 }, path: 'disposition_id' },
  'an inner id 99 without its label': {
    input: { ...query, device: { uid: 'a', type_id: 99 } },
    path: 'device.type_id',
  },
  'a caption that is not that of the id': { input: { ...query, severity: 'High' }, path: 'severity' },
  'an attribute of another class': { input: { ...query, process: { pid: 1 } }, path: 'process' },
  'an unknown inner attribute': { input: { ...query, src_endpoint: { ip: '::1', x: 1 } }, path: 'src_endpoint.x' },
  'a broken constraint': { input: { ...query, src_endpoint: { port: 1 } }, path: 'src_endpoint' },
  'a missing attribute': { input: { ...query, query: {} }, path: 'query.hostname' },
  'a null': { input: { ...query, message: null }, path: 'message' },
  'a number that is not finite': { input: { ...query, count: Number.NaN }, path: 'count' },
  'a number too large': { input: { ...query, time: 2 ** 60 }, path: 'time' },
  'a bad address': { input: { ...query, src_endpoint: { ip: '1.2.3' } }, path: 'src_endpoint.ip' },
  'a port out of range': { input: { ...query, src_endpoint: { ip: '::1', port: 70_000 } }, path: 'src_endpoint.port' },
  'a function': { input: { ...query, message: () => 1 }, path: 'message' },
};
for (const [name, { input, path }] of Object.entries(refused)) {
  test(`buildEvent: ${name} is refused with code and path`, (t) => {
    const error = t.throws(() => buildEvent(input as EventInput<4003>));
    t.true(isTapwardenError(error, 'EVENT_INVALID'));
    t.is((error as { details?: { path?: string } }).details?.path, path);
  });
}

test('buildEvent: something that is nested in itself is refused, and not followed for ever', (t) => {
  const loop: Record<string, unknown> = {};
  loop['a'] = loop;
  t.throws(() => buildEvent({ ...query, unmapped: loop as never }), { code: 'EVENT_INVALID' });
});

// What TypeScript can say it says: each of these lines must not compile.
const metadataOnly = { severity_id: 1, time, metadata } as const;
const wrong: readonly (() => unknown)[] = [
  // @ts-expect-error: activity 99 demands its name
  () => buildEvent({ ...metadataOnly, class_uid: 4003, activity_id: 99 }),
  // @ts-expect-error: DNS Activity has no activity 5
  () => buildEvent({ ...metadataOnly, class_uid: 4003, activity_id: 5 }),
  // @ts-expect-error: the table has no such class
  () => buildEvent({ ...metadataOnly, class_uid: 4999, activity_id: 1 }),
  // @ts-expect-error: a finding has its finding_info
  () => buildEvent({ ...metadataOnly, class_uid: 2004, activity_id: 1 }),
  // @ts-expect-error: a process has no http_request
  () => buildEvent({ ...query, class_uid: 4003, http_request: { url: { path: '/' } } }),
  // @ts-expect-error: severity 7 does not exist
  () => buildEvent({ ...query, severity_id: 7 }),
  // @ts-expect-error: null is not absent
  () => buildEvent({ ...query, message: null }),
  // @ts-expect-error: an object without what it requires
  () => buildEvent({ ...query, query: {} }),
];

test('buildEvent: what the compiler refuses is refused at run time too', (t) => {
  for (const build of wrong) t.throws(build, { code: 'EVENT_INVALID' }, String(build));
});
