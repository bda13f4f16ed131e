import {
  attackVersion,
  buildEvent,
  checkEvent,
  connectAllowed,
  connectDenied,
  connectFailed,
  type DeniedPacketInput,
  deniedAggregate,
  deniedPacket,
  type EventBody,
  type EventContext,
  eventsDropped,
  execExited,
  execLaunched,
  fenceUnlogged,
  logReaderRestarted,
  sandboxStarted,
  sandboxStopped,
  telemetryGap,
} from '../../ocsf/index.ts';

/** A sandbox of which everything is known. */
export const context: EventContext = {
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
/** A sandbox of which only the least is known. */
export const bare: EventContext = {
  ocsfVersion: '1.8.0',
  productVersion: '0.1.0',
  logName: 'tapwarden-events',
  sandboxId: 'a',
  runId: context.runId,
  hostname: 'a',
  hypervisor: 'qemu',
  policy: context.policy,
};
/** A sandbox without a virtual machine. */
export const jailContext: EventContext = {
  ocsfVersion: bare.ocsfVersion,
  productVersion: bare.productVersion,
  logName: bare.logName,
  sandboxId: 'a',
  runId: context.runId,
  hostname: 'host1',
  policy: context.policy,
};
/** Epoch milliseconds of every sample. */
export const time = 1790000000123;
/** Text that a workload might choose: ANSI, bidi, JSON, newline, NUL, half a surrogate. */
export const hostile = '\x1b[31m\u202e"},{"time":1,\n\0\ud800';

/** A TCP connection that the fence refused. */
export const tcp: DeniedPacketInput = {
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
/** A refused echo request that nobody is known to have sent. */
export const icmp: DeniedPacketInput = {
  ...unowned,
  protocol: 1,
  source: { ip: '10.200.0.2' },
  destination: { ip: '198.51.100.7' },
  icmp: { type: 8, code: 0 },
  verdict: 'drop',
};
/** Who sent {@link tcp}, as audit tells it. */
export const origin: NonNullable<DeniedPacketInput['origin']> = {
  method: 'audit',
  confidence: 'high',
  process: {
    pid: 812,
    uid: 1000,
    binary: '/usr/bin/python3.11',
    arguments: ['python3', '-c', "print('it')"],
    ageMs: 133,
  },
  ancestors: [
    { pid: 801, uid: undefined, binary: '/usr/bin/bash', arguments: ['bash', 'build.sh'], ageMs: 2133 },
    { pid: 799, arguments: [] },
  ],
  candidates: [],
};
const client = { ip: '10.0.128.2', port: 40001 };
const request = { time, host: 'example.com', port: 443, method: 'CONNECT', client, via: 'gateway' as const };
/** A command as it was started. */
export const command = {
  time,
  execId: 'exec-1',
  argv: ['/usr/bin/python3', '-c', "print('it')"],
  workdir: '/work',
  user: { uid: 1000, name: 'agent' },
  pid: 812,
};
const counts = { allowed: 3, denied: 1, attempts: 40, lost: 0 };

/** An event of each kind, by name; `hostile` is in the names of those whose text a workload chose. */
export const samples: Readonly<Record<string, EventBody>> = {
  'denied-tcp': deniedPacket(context, tcp),
  'denied-udp6': deniedPacket(context, udp6),
  'denied-icmp': deniedPacket(bare, icmp),
  'denied-icmp6': deniedPacket(bare, { ...icmp, protocol: 58, destination: { ip: 'fe80::1' } }),
  'denied-protocol-253': deniedPacket(bare, { ...unowned, protocol: 253, destination: { ip: '192.0.2.9' } }),
  'denied-origin': deniedPacket(context, { ...tcp, origin }),
  'denied-origin-several': deniedPacket(context, {
    ...tcp,
    origin: {
      method: 'exec',
      confidence: 'low',
      reason: 'several-processes',
      ancestors: [],
      candidates: [
        { pid: 812, binary: '/usr/bin/curl', arguments: [] },
        { pid: 813, arguments: [] },
      ],
    },
  }),
  'denied-origin-handed-on': deniedPacket(context, {
    ...tcp,
    origin: { ...origin, confidence: 'low', reason: 'mark-disagrees', conflict: { markExec: 1, auditExec: 2 } },
  }),
  'denied-origin-hostile': deniedPacket(context, {
    ...tcp,
    origin: {
      ...origin,
      reason: hostile,
      process: { pid: 1, uid: 0, binary: `/tmp/${hostile} (deleted)`, arguments: [hostile.repeat(500)], ageMs: 0 },
      ancestors: [{ pid: 2, binary: '/', arguments: [hostile] }],
    },
  }),
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
  'denied-aggregate-destination': deniedAggregate(context, {
    startTime: time,
    endTime: time + 1000,
    count: 1000,
    protocol: 132,
    source: { ip: 'fd00::2' },
    destination: { ip: '2001:db8::1', port: 3868 },
    exec: { id: '1' },
    reason: 'unlogged',
    rule: { name: 'refuse' },
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
  'sandbox-started': sandboxStarted(context, { time, accelerator: 'kvm', attribution: 'exec-mark' }),
  'sandbox-stopped': sandboxStopped(context, {
    time,
    accelerator: 'kvm',
    counts,
    incomplete: [],
    reason: 'the command ended',
  }),
  'sandbox-started-jail': sandboxStarted(jailContext, { time, accelerator: null }),
  'sandbox-stopped-lossy': sandboxStopped(bare, {
    time,
    accelerator: 'tcg',
    counts: { ...counts, lost: 15 },
    incomplete: ['log-gap: 15 records', hostile],
    reason: 'the guest panicked',
    failed: true,
  }),
  'fence-unlogged': fenceUnlogged(context, { time, reason: 'the kernel has no nf_log_all_netns' }),
  'telemetry-gap': telemetryGap(context, { time, missing: 15, first: 4320, last: 4334, source: '/dev/kmsg' }),
  'log-reader-restarted': logReaderRestarted(context, {
    time,
    last: 4319,
    next: 4335,
    downMs: 12,
    source: '/dev/kmsg',
  }),
  'events-dropped': eventsDropped(context, { time, dropped: 4000 }),
  'event-invalid': checkEvent(
    { ...deniedPacket(context, tcp), dst_endpoint: { ip: '203.0.113.10', port: 70_000 } },
    context,
    time,
  ).body,
  'generic-dns-activity': buildEvent({
    class_uid: 4003,
    activity_id: 2,
    severity_id: 1,
    time,
    status_id: 2,
    message: 'No such name',
    metadata: { product: { name: 'resolver', vendor_name: 'example' } },
    query: { hostname: 'nothing.example', type: 'AAAA', class: 'IN' },
    rcode_id: 3,
    src_endpoint: { ip: '192.0.2.7', port: 40_001 },
    dst_endpoint: { ip: '192.0.2.53', port: 53 },
  }),
  'generic-detection-finding': buildEvent({
    class_uid: 2004,
    activity_id: 1,
    severity_id: 4,
    time,
    status_id: 1,
    message: 'Forty destinations in one minute',
    metadata: { product: { name: 'detector' }, correlation_uid: context.runId },
    confidence_id: 3,
    device: { type_id: 6, uid: 'vm1' },
    finding_info: {
      uid: 'scan/vm1/1790000000',
      title: 'Network scan',
      types: ['bypass-burst'],
      analytic: { type_id: 1, name: 'distinct destinations in a window' },
      related_events: [{ uid: '01J8Z6Q8W7M0V5T3N2K1H0G9F8', type_uid: 400105 }],
      related_events_count: 40,
    },
    evidences: [{ dst_endpoint: { ip: '203.0.113.10', port: 4444 }, process: { pid: 812 } }],
    attacks: [
      {
        version: attackVersion,
        tactic: { uid: 'TA0007', name: 'Discovery' },
        technique: { uid: 'T1046', name: 'Network Service Discovery' },
      },
    ],
  }),
  'generic-device-config-state-change': buildEvent({
    class_uid: 5019,
    activity_id: 1,
    severity_id: 5,
    time,
    message: 'The fence of vm1 was switched off',
    metadata: { product: { name: 'monitor' } },
    device: { type_id: 6, uid: 'vm1', os: { name: 'Linux', type_id: 200 } },
    state_id: 1,
    security_level_id: 3,
    prev_security_level_id: 1,
    security_states: [{ state_id: 4 }],
  }),
};
