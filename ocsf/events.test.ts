import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { isTapwardenError } from '../base/index.ts';
import { schemaAvailable, validateBySchema, validateEvent } from '../e2e/support/ocsf-schema.ts';
import { command, context, icmp, samples, tcp, time } from '../e2e/support/sample-events.ts';
import { type DeniedPacketInput, deniedAggregate, deniedPacket, execLaunched, renderShort } from './index.ts';

for (const [name, event] of Object.entries(samples)) {
  test(`builders: ${name} is valid at 1.8.0 and 1.7.0`, (t) => {
    const reason = schemaAvailable();
    if (reason !== undefined) {
      if (process.env['REQUIRE'] !== undefined) t.fail(reason);
      t.log(`skipped: ${reason}`);
      t.pass();
      return;
    }
    // The log's own additions belong to the whole that is validated.
    const metadata = { ...event.metadata, uid: '01J8Z6Q8W7M0V5T3N2K1H0G9F8', sequence: 1, logged_time: time };
    t.deepEqual(validateEvent({ ...event, metadata }), []);
    t.deepEqual(validateEvent({ ...event, metadata: { ...metadata, version: '1.7.0' } }), []);
  });

  test(`builders: ${name} has the time first, observables that live, and nothing absent`, (t) => {
    const text = JSON.stringify(event);
    t.true(text.startsWith(`{"time":${event.time},`));
    t.false(/:null|\[null/.test(text));
    t.deepEqual(JSON.parse(text), event, 'no undefined hides in it');
    t.true(Buffer.byteLength(text) < 32 * 1024);
    for (const { name: path, value } of event.observables) {
      const found = path.split('.').reduce<unknown>((part, key) => Reflect.get(part as object, key), event);
      t.is(String(found), value, path);
    }
    const keys = Object.keys(event);
    const firstObject = Object.values(event).findIndex((value) => typeof value === 'object');
    t.is(keys[firstObject], 'metadata');
  });
}

test('validateBySchema: what the schema does not allow is found', (t) => {
  const event = deniedPacket(context, tcp);
  if (schemaAvailable() !== undefined) {
    t.log(`skipped: ${schemaAvailable()}`);
    t[process.env['REQUIRE'] === undefined ? 'pass' : 'fail']();
    return;
  }
  t.is(validateBySchema({ ...event, surprise: 1 }).length, 1);
  t.true(validateBySchema({ ...event, metadata: { ...event.metadata, profiles: ['host'] } }).length > 0);
  t.true(validateBySchema({ ...event, dst_endpoint: { port: 1 } }).length > 0);
  t.is(validateBySchema({ ...event, class_uid: 1 }).length, 1);
  t.is(validateBySchema(null).length, 1);
});

const lines = Object.values(samples).map((event) => `${renderShort(event)}\n`);
const goldens: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    Object.entries(samples)
      .filter(([name]) => !name.includes('hostile'))
      .map(([name, event]) => [`${name}.ocsf.json`, `${JSON.stringify(event, null, 2)}\n`]),
  ),
  'shorthand.txt': lines.join(''),
};

for (const [name, text] of Object.entries(goldens)) {
  test(`golden: ocsf/testdata/${name} is what the builders give`, (t) => {
    const path = `ocsf/testdata/${name}`;
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, text);
    t.true(existsSync(path), 'UPDATE_GOLDEN=1 writes it');
    t.is(text, readFileSync(path, 'utf8'));
  });
}

test('renderShort: the lines of hostile events are one printable line each', (t) => {
  // biome-ignore format: one class of characters a line reads best
  for (const line of lines) t.notRegex(line.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/u);
});

const verdicts = test.macro({
  exec(t, change: Partial<DeniedPacketInput>, want: { severity: string; boundary: string; attack?: string }) {
    const event = deniedPacket(context, { ...tcp, ...change });
    const attack = event.attacks?.[0];
    t.like(event, { severity: want.severity, connection_info: { boundary: want.boundary } });
    t.is(attack?.sub_technique?.uid ?? attack?.technique?.uid, want.attack);
    t.like(event, { type_uid: 400105, action: 'Denied', disposition: 'Blocked', status: 'Failure' });
  },
  title: (name) => `deniedPacket: ${name}`,
});

const to = (ip: string, port?: number) => ({ destination: port === undefined ? { ip } : { ip, port } });
test('DNS is Low', verdicts, { protocol: 17, ...to('198.51.100.53', 53) }, low('External', 'T1071.004'));
test('NTP is Low', verdicts, { protocol: 17, ...to('198.51.100.53', 123) }, low('External'));
test('SCTP to port 53 is no DNS', verdicts, { protocol: 132, ...to('198.51.100.53', 53) }, medium('External', 'T1095'));
test('metadata is High', verdicts, to('169.254.169.254', 80), high('Internal', 'T1552.005'));
test('metadata over IPv6 is High', verdicts, to('fd00:ec2::254', 80), high('Internal', 'T1552.005'));
test('mapped metadata is High', verdicts, to('::ffff:169.254.169.254', 80), high('Internal', 'T1552.005'));
test('HTTPS is Medium', verdicts, to('203.0.113.1', 443), medium('External', 'T1071.001'));
test('SSH inside is lateral', verdicts, to('192.168.1.4', 22), medium('Internal', 'T1021.004'));
test('SMB inside is lateral', verdicts, to('172.16.0.1', 445), medium('Internal', 'T1021.002'));
test('SSH outside has no technique', verdicts, to('203.0.113.1', 22), medium('External'));
test('loopback is Localhost', verdicts, to('127.0.0.2', 5000), medium('Localhost'));
test('IPv6 loopback is Localhost', verdicts, to('::1', 5000), medium('Localhost'));
test('link-local is Internal', verdicts, to('fe80::1', 5000), medium('Internal'));
test('shared address space is Internal', verdicts, to('100.64.0.1', 5000), medium('Internal'));
test('mDNS is Internal', verdicts, { protocol: 17, ...to('224.0.0.251', 5353) }, medium('Internal'));
test('global multicast is External', verdicts, { protocol: 17, ...to('ff0e::1', 5000) }, medium('External'));
test('UDP-Lite is non-application', verdicts, { protocol: 136, ...to('203.0.113.1', 80) }, medium('External', 'T1095'));
test('protocol 253 is non-application', verdicts, { protocol: 253, ...to('203.0.113.1') }, medium('External', 'T1095'));

function low(boundary: string, attack?: string) {
  return { severity: 'Low', boundary, ...(attack === undefined ? {} : { attack }) };
}
function medium(boundary: string, attack?: string) {
  return { ...low(boundary, attack), severity: 'Medium' };
}
function high(boundary: string, attack?: string) {
  return { ...low(boundary, attack), severity: 'High' };
}

const refused: Readonly<Record<string, Partial<DeniedPacketInput>>> = {
  'destination.ip': { destination: { ip: '1.2.3' } },
  'source.ip': { source: { ip: 'fe80::1%eth0' } },
  'destination.port': { destination: { ip: '192.0.2.1', port: 70000 } },
  protocol: { protocol: 256 },
  length: { length: -1 },
  originalTime: { originalTime: '12.5\n' },
  sequence: { sequence: 1.5 },
  time: { time: Number.NaN },
  uid: { uid: 2 ** 32 },
  tcpFlags: { tcpFlags: 4096 },
  'icmp.code': { icmp: { type: 8, code: 300 } },
};
for (const [where, change] of Object.entries(refused)) {
  test(`deniedPacket: a bad ${where} is refused by name`, (t) => {
    const error = t.throws(() => deniedPacket(context, { ...tcp, ...change }));
    t.true(isTapwardenError(error, 'EVENT_INVALID'));
    t.true(error?.message.includes(where));
  });
}

test('deniedPacket: a process is never named and the origin is marked', (t) => {
  const event = deniedPacket(context, tcp);
  t.deepEqual(event.actor, { user: { uid: '1000', groups: [{ uid: '1000' }] } });
  t.deepEqual(event.metadata.labels, ['origin:unverified']);
  t.deepEqual(event.unmapped?.['origin'], {
    verified: false,
    method: 'kernel-log-uid',
    reason: 'process-not-attributed',
  });
  t.false('actor' in deniedPacket(context, icmp));
  t.false('port' in (deniedPacket(context, icmp).dst_endpoint ?? {}));
});

test('deniedAggregate: a window that ends before it starts, and a count of nothing, are refused', (t) => {
  const input = { startTime: 10, endTime: 9, count: 1, source: { ip: '10.0.0.1' } };
  t.true(
    isTapwardenError(
      t.throws(() => deniedAggregate(context, input)),
      'EVENT_INVALID',
    ),
  );
  t.true(
    isTapwardenError(
      t.throws(() => deniedAggregate(context, { ...input, endTime: 10, count: 0 })),
      'EVENT_INVALID',
    ),
  );
});

test('finish: a shortened text is marked with the size before', (t) => {
  const event = execLaunched(context, { ...command, argv: ['x'.repeat(100_000)] });
  t.is(event.process.cmd_line.length, 4096);
  t.true(event.metadata.is_truncated);
  t.true((event.metadata.untruncated_size ?? 0) > 93);
  t.false('is_truncated' in execLaunched(context, command).metadata);
});

test('finish: lone surrogates do not reach the line', (t) => {
  t.notRegex(JSON.stringify(samples['connect-denied-hostile']), /\\ud8/i);
});
