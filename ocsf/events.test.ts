import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { isTapwardenError } from '../base/index.ts';
import { schemaAvailable, validateEvent } from '../e2e/support/ocsf-schema.ts';
import {
  connectAllowed,
  connectDenied,
  connectFailed,
  type DeniedPacketInput,
  deniedAggregate,
  deniedPacket,
  type EventBody,
  type EventContext,
  execExited,
  execLaunched,
  fenceUnlogged,
  renderShort,
  sandboxStarted,
  sandboxStopped,
  telemetryGap,
} from './index.ts';

const context: EventContext = {
  ocsfVersion: '1.8.0',
  productVersion: '0.1.0',
  logName: 'tapwarden-events',
  sandboxId: 'vm1',
  runId: '0b0e0c1e-3c8e-4f7e-9a55-0d4b5a0d6f11',
  hostname: 'vm1',
  hypervisor: 'qemu',
  bootUid: 'b6f0c1f2-7d53-4a0e-8f7e-1f2a3b4c5d6e',
  kernelRelease: '6.1.0-40-amd64',
  image: { name: 'debian', uid: 'sha256:4be1' },
  policy: { uid: 'default', name: 'default', version: 'sha256:9f86d081884c7d65' },
};
const bare: EventContext = {
  ocsfVersion: '1.8.0',
  productVersion: '0.1.0',
  logName: 'tapwarden-events',
  sandboxId: 'a',
  runId: context.runId,
  hostname: 'a',
  hypervisor: 'qemu',
  policy: context.policy,
};
const time = 1790000000123;
const hostile = '\x1b[31m\u202e"},{"time":1,\n\0\ud800';

const tcp: DeniedPacketInput = {
  time,
  originalTime: '1843.220114',
  protocol: 6,
  source: { ip: '10.200.0.2', port: 51514 },
  destination: { ip: '203.0.113.10', port: 4444 },
  interfaceOut: 'eth0',
  length: 60,
  uid: 1000,
  gid: 1000,
  mark: 42,
  tcpFlags: 2,
  sequence: 4213,
  exec: { id: 'exec-1' },
  rawLine: 'tw-abc: IN= OUT=eth0 SRC=10.200.0.2 DST=203.0.113.10 LEN=60 PROTO=TCP SPT=51514 DPT=4444 SYN MARK=0x2a',
  rule: { name: 'reject-tcp', comment: 'fence: everything but the proxy' },
  verdict: 'tcp-reset',
};
const { tcpFlags: _tcpFlags, ...flagless } = tcp;
const udp6: DeniedPacketInput = {
  ...flagless,
  rawLine: 'tw-abc: IN= OUT=eth0 SRC=fd00::2 DST=2001:db8::53 LEN=60 PROTO=UDP SPT=40000 DPT=53 LEN=40 MARK=0x2a',
  protocol: 17,
  source: { ip: 'fd00:0000:0000:0000:0000:0000:0000:0002', port: 40000 },
  destination: { ip: '2001:0db8:0000:0000:0000:0000:0000:0053', port: 53 },
  rule: { name: 'reject-other', uid: 'inet/fence/output#9', version: 'sha256:11' },
  verdict: 'icmpx-admin-prohibited',
};
const { uid: _uid, gid: _gid, mark: _mark, exec: _exec, ...unowned } = flagless;
const icmp: DeniedPacketInput = {
  ...unowned,
  protocol: 1,
  source: { ip: '10.200.0.2' },
  destination: { ip: '198.51.100.7' },
  icmp: { type: 8, code: 0 },
  verdict: 'drop',
};
const client = { ip: '10.0.128.2', port: 40001 };
const request = { time, host: 'example.com', port: 443, method: 'CONNECT', client, via: 'gateway' as const };
const command = {
  time,
  execId: 'exec-1',
  argv: ['/usr/bin/python3', '-c', "print('it')"],
  workdir: '/work',
  user: { uid: 1000, name: 'agent' },
  pid: 812,
};
const counts = { allowed: 3, denied: 1, attempts: 40, lost: 0 };

const samples: Readonly<Record<string, EventBody>> = {
  'denied-tcp': deniedPacket(context, tcp),
  'denied-udp6': deniedPacket(context, udp6),
  'denied-icmp': deniedPacket(bare, icmp),
  'denied-icmp6': deniedPacket(bare, { ...icmp, protocol: 58, destination: { ip: 'fe80::1' } }),
  'denied-protocol-253': deniedPacket(bare, { ...unowned, protocol: 253, destination: { ip: '192.0.2.9' } }),
  'denied-metadata': deniedPacket(context, { ...tcp, destination: { ip: '169.254.169.254', port: 80 } }),
  'denied-hostile-line': deniedPacket(context, { ...tcp, rawLine: hostile.repeat(1000), interfaceOut: hostile }),
  'denied-aggregate': deniedAggregate(context, {
    startTime: time,
    endTime: time + 59500,
    count: 37,
    protocol: 17,
    ipVersion: 4,
    source: { ip: '10.200.0.2' },
    reason: 'log-limit',
  }),
  'denied-aggregate-one': deniedAggregate(bare, {
    startTime: time,
    endTime: time + 1000,
    count: 1,
    source: { ip: 'fd00::2' },
  }),
  'connect-allowed': connectAllowed(context, {
    ...request,
    status: 200,
    resolved: '203.0.113.80',
    bytes: { in: 5120, out: 800 },
    decision: { rule: 'allow-example' },
  }),
  'connect-denied': connectDenied(context, {
    ...request,
    host: 'evil.example',
    status: 403,
    decision: {
      code: 'HOST_NOT_ALLOWED',
      reason: 'No rule allows evil.example:443.',
      hint: "Add 'evil.example' to allow.",
    },
  }),
  'connect-denied-hostile': connectDenied(bare, {
    ...request,
    host: `${hostile}${'h'.repeat(5000)}`,
    method: hostile,
    client: {},
    via: 'guest-proxy',
    decision: { code: 'HOST_INVALID', reason: hostile },
  }),
  'connect-denied-address': connectDenied(context, {
    ...request,
    host: '::ffff:169.254.169.254',
    port: 80,
    method: 'GET',
    path: '/latest/meta-data/?recursive=true',
    status: 403,
    decision: { code: 'ADDRESS_LOCAL', reason: 'The address is the metadata service.', rule: 'deny-metadata' },
  }),
  'connect-failed': connectFailed(context, {
    ...request,
    resolved: '2001:db8::80',
    status: 502,
    decision: { rule: 'allow-example' },
    failure: { code: 'ECONNREFUSED', reason: 'The upstream refused the connection.' },
  }),
  'http-unknown-method': connectFailed(context, {
    ...request,
    port: 80,
    method: 'BREW',
    path: '/pot',
    decision: { rule: 'allow-example' },
    failure: { code: 'UPSTREAM_MALFORMED', reason: 'The upstream answered with no HTTP.' },
  }),
  'exec-launched': execLaunched(context, command),
  'exec-launched-hostile': execLaunched(bare, { ...command, argv: [hostile, 'x'.repeat(9000)], workdir: hostile }),
  'exec-launched-empty': execLaunched(bare, { ...command, argv: [] }),
  'exec-exited': execExited(context, { ...command, end: { kind: 'exited', exitCode: 3 } }),
  'exec-signaled': execExited(context, { ...command, end: { kind: 'signaled', signal: 'SIGKILL' } }),
  'sandbox-started': sandboxStarted(context, { time, accelerator: 'kvm' }),
  'sandbox-stopped': sandboxStopped(context, { time, accelerator: 'kvm', counts, reason: 'the command ended' }),
  'sandbox-stopped-lossy': sandboxStopped(bare, {
    time,
    accelerator: 'tcg',
    counts: { ...counts, lost: 15 },
    reason: 'the guest panicked',
    failed: true,
  }),
  'fence-unlogged': fenceUnlogged(context, { time, reason: 'the kernel has no nf_log_all_netns' }),
  'telemetry-gap': telemetryGap(context, { time, missing: 15, first: 4320, last: 4334, source: '/dev/kmsg' }),
};

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

test('validateEvent: what the schema does not allow is found', (t) => {
  const event = deniedPacket(context, tcp);
  if (schemaAvailable() !== undefined) {
    t.log(`skipped: ${schemaAvailable()}`);
    t[process.env['REQUIRE'] === undefined ? 'pass' : 'fail']();
    return;
  }
  t.is(validateEvent({ ...event, surprise: 1 }).length, 1);
  t.true(validateEvent({ ...event, metadata: { ...event.metadata, profiles: ['host'] } }).length > 0);
  t.true(validateEvent({ ...event, dst_endpoint: { port: 1 } }).length > 0);
  t.is(validateEvent({ ...event, class_uid: 1 }).length, 1);
  t.is(validateEvent(null).length, 1);
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
