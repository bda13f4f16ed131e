import test from 'ava';
import { matchesGolden } from '../e2e/support/golden.ts';
import { seeded } from '../e2e/support/seeded.ts';
import { maxShortLength, renderShort } from './shorthand.ts';

const metadata = { version: '1.8.0', product: { name: 'tapwarden', version: '0.1.0' }, log_name: 'tapwarden-events' };
const device = { type_id: 6, uid: 'vm1', hostname: 'vm1' };
const python = { name: 'python3', pid: 812, file: { name: 'python3', path: '/usr/bin/python3', type_id: 8 } };
const actor = { process: python, user: { uid: '1000' } };
const denied = { severity_id: 3, severity: 'Medium', action_id: 2, action: 'Denied', status_id: 2, status: 'Failure' };
const allowed = { severity_id: 1, severity: 'Informational', action_id: 1, action: 'Allowed', status_id: 1 };
const common = { time: 1_790_000_000_123, metadata, device };
const connection = { direction_id: 2, protocol_num: 6, protocol_name: 'tcp' };
const proxied = { proxy_endpoint: { name: 'gateway' }, firewall_rule: { name: 'default-deny' } };
const t1686 = [{ version: '19', technique: { uid: 'T1686', name: 'Disable or Modify System Firewall' } }];

/** An event of each class, and of each way in which one of them reads differently. */
const samples: readonly object[] = [
  {
    ...{ ...common, ...denied, class_uid: 4001, activity_id: 5, activity_name: 'Refuse', actor },
    dst_endpoint: { ip: '203.0.113.10', port: 4444 },
    connection_info: connection,
    firewall_rule: { name: 'reject-tcp' },
    status_detail: 'Only the proxy leads out; add a direct rule for 203.0.113.10:4444 to the policy.',
    attacks: [{ technique: { uid: 'T1571', name: 'Non-Standard Port' } }],
    unmapped: { exec: { id: 'exec-1' } },
  },
  {
    ...{ ...common, ...allowed, class_uid: 4001, activity_id: 2, activity_name: 'Close' },
    dst_endpoint: { hostname: 'example.com', ip: '2001:db8::80', port: 443 },
    connection_info: connection,
    traffic: { bytes: 5920, bytes_in: 5120, bytes_out: 800 },
  },
  {
    ...{ ...common, ...denied, class_uid: 4002, activity_id: 1, activity_name: 'Connect', actor, ...proxied },
    http_request: { http_method: 'CONNECT', url: { hostname: 'evil.example', port: 443 } },
    http_response: { code: 403 },
    status_detail: "No rule allows evil.example:443. Add 'evil.example' to allow.",
  },
  {
    ...{
      ...common,
      ...allowed,
      class_uid: 4002,
      activity_id: 3,
      activity_name: 'Get',
      proxy_endpoint: { name: 'gateway' },
    },
    http_request: { http_method: 'GET', url: { url_string: 'http://example.com/a?b=c d' } },
    http_response: { code: 200 },
    firewall_rule: { name: 'allow-example' },
  },
  {
    ...{ ...common, ...allowed, status_id: 2, class_uid: 4002, activity_id: 6, activity_name: 'Post', ...proxied },
    http_request: { http_method: 'POST', url: { scheme: 'http', hostname: '2001:db8::80', port: 8080, path: '/up' } },
    status_detail: 'The upstream refused the connection.',
  },
  {
    ...{
      ...common,
      ...denied,
      severity_id: 2,
      severity: 'Low',
      class_uid: 4003,
      activity_id: 1,
      activity_name: 'Query',
    },
    query: { hostname: 'x.example.com', type: 'TXT' },
    rcode_id: 5,
    rcode: 'Refused',
    dst_endpoint: { ip: '10.0.128.1', port: 53 },
    status_detail: 'Direct DNS is not permitted; the proxy resolves names.',
  },
  {
    ...{ ...common, ...allowed, class_uid: 4003, activity_id: 2, activity_name: 'Response' },
    query: { hostname: 'example.com', type: 'A' },
    rcode_id: 0,
    rcode: 'NoError',
    answers: ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4', '192.0.2.5'].map((rdata) => ({ rdata })),
    dst_endpoint: { ip: '10.0.128.1', port: 53 },
  },
  {
    ...{ ...common, severity_id: 1, severity: 'Informational', status: 'Success', class_uid: 1007, activity_id: 1 },
    activity_name: 'Launch',
    actor: { app_name: 'tapwarden' },
    process: { pid: 812, cmd_line: "python3 -c 'print(1)'", user: { uid: '1000' } },
    unmapped: { exec: { id: 'exec-1' } },
  },
  {
    ...{ ...common, severity_id: 1, severity: 'Informational', status: 'Failure', class_uid: 1007, activity_id: 5 },
    activity_name: 'Set User ID',
    actor,
    process: { pid: 813, name: 'su' },
    status_code: 'exit:1',
  },
  {
    ...{ ...common, severity_id: 4, severity: 'High', status_id: 1, status: 'New', class_uid: 2004, activity_id: 1 },
    activity_name: 'Create',
    finding_info: {
      uid: 'burst-1',
      title: 'A burst of attempts around the proxy',
      desc: '120 packets to one destination in 2 s.',
      related_events_count: 12,
      analytic: { type_id: 1, name: 'burst' },
    },
    evidences: [{ dst_endpoint: { ip: '203.0.113.10', port: 4444 }, connection_info: connection }],
    remediation: { desc: 'Look at what the exec runs, or add a direct rule.' },
    attacks: t1686,
  },
  {
    ...{ ...common, severity_id: 1, severity: 'Informational', status: 'Success', class_uid: 6002, activity_id: 4 },
    activity_name: 'Stop',
    app: { name: 'tapwarden', version: '0.1.0' },
    message: 'Sandbox vm1 stopped',
    status_detail: 'the command ended',
    unmapped: { counts: { allowed: 3, denied: 1, attempts: 40, lost: 0 } },
  },
  {
    ...{ time: common.time, metadata: { product: { name: 'elsewhere' } }, class_uid: 6002, activity_id: 8 },
    ...{ activity_name: 'Update', severity_id: 1, status_id: 1, app: { name: 'nginx', version: '1.22' } },
    device: { type_id: 1, hostname: 'web-1' },
  },
  {
    ...{ ...common, severity_id: 4, severity: 'High', class_uid: 5019, activity_id: 1, activity_name: 'Log' },
    ...{ status_id: 2, status: 'Failure', state_id: 1, state: 'Disabled' },
    ...{ prev_security_level_id: 1, prev_security_level: 'Secure', security_level_id: 2, security_level: 'At Risk' },
    security_states: [
      { state_id: 4, state: 'Protection off' },
      { state_id: 2, state: 'Policy mismatch' },
    ],
    status_detail: 'The loaded ruleset is not the one that was rendered; it was put right.',
    attacks: t1686,
  },
  {
    ...{
      ...common,
      severity_id: 4,
      severity: 'High',
      class_uid: 1008,
      activity_id: 99,
      activity_name: 'telemetry-gap',
    },
    ...{ status_id: 2, status: 'Failure', log_name: '/dev/kmsg', message: '15 records of the fence lost' },
    metadata: { ...metadata, labels: ['loss:possible'] },
    unmapped: { loss: { source: '/dev/kmsg', missing_records: 15, first: 4320, last: 4334 } },
    status_detail: 'Records 4320 to 4334 of /dev/kmsg were overwritten before they were read.',
  },
  {
    ...{ ...common, severity_id: 4, severity: 'High', class_uid: 0, activity_id: 99, activity_name: 'fence-unlogged' },
    ...{ status: 'Failure', message: 'The fence refuses packets without a log line for each' },
  },
  {
    ...{ ...common, severity_id: 4, severity: 'High', class_uid: 0, activity_id: 99, activity_name: 'event-invalid' },
    ...{ status: 'Failure', message: 'An event that is not valid OCSF is carried by this one: class 4001' },
    status_detail: 'dst_endpoint.port must be from 0 to 65535: got 70000',
    unmapped: { invalid: { errors: 1 }, event: { class_uid: 4001 } },
  },
  {
    ...{ ...common, severity_id: 5, severity: 'Critical', class_uid: 2004, activity_id: 3, activity_name: 'Close' },
    ...{ status_id: 4, status: 'Resolved', message: 'No more of it in one hour' },
    finding_info: { uid: 'scan-1', title: 'Network scan', related_events: [{ uid: 'a' }, { uid: 'b' }] },
  },
  // Of others: no captions, no device, a class that we do not write.
  {
    ...{ time: 1_790_000_000_000, class_uid: 4001, activity_id: 5, severity_id: 4, action_id: 2, metadata: {} },
    src_endpoint: { ip: '10.0.0.5', port: 40000 },
    dst_endpoint: { domain: 'example.org' },
    connection_info: { protocol_num: 132 },
    ...{ count: 37, duration: 59_500 },
  },
  {
    ...{
      time: 1_790_000_000_000,
      class_uid: 3002,
      class_name: 'Authentication',
      activity_id: 1,
      activity_name: 'Logon',
    },
    ...{ severity_id: 1, severity: 'Informational', status: 'Success', message: 'user a logged on', metadata: {} },
  },
  { time: 1_790_000_000_000, class_uid: 9999, severity_id: 99, status_id: 1 },
];

test('golden: ocsf/testdata/shorthand-classes.txt has a line for each class', (t) => {
  matchesGolden(t, 'ocsf/testdata/shorthand-classes.txt', samples.map((event) => `${renderShort(event)}\n`).join(''));
});

test('renderShort: any JSON value gives one line', (t) => {
  const leaves: readonly unknown[] = [null, true, 0, -1, 1e300, 1.5, '', 'x\ny', [], [null], {}, { a: null }];
  const paths = [
    'time',
    'class_uid',
    'severity',
    'severity_id',
    'action',
    'action_id',
    'status_id',
    'metadata',
    'device',
  ];
  const nested = ['connection_info', 'dst_endpoint', 'actor', 'process', 'unmapped', 'count', 'duration', 'message'];
  const values = [
    ...leaves,
    ...[...paths, ...nested].flatMap((key) => leaves.map((leaf) => ({ [key]: leaf }))),
    ...leaves.map((leaf) => ({ dst_endpoint: { ip: leaf, port: leaf, hostname: leaf } })),
    ...leaves.map((leaf) => ({ metadata: { labels: [leaf], is_truncated: leaf }, status_detail: leaf })),
    JSON.parse('{"__proto__":{"severity":"x"},"constructor":1}'),
    JSON.parse(`{"metadata":{"labels":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`),
    JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`),
  ];
  for (const value of values) {
    for (const color of [true, false]) t.is(renderShort(value, { color }).split('\n').length, 1);
  }
});

test('renderShort: every text of the event is escaped', (t) => {
  const bad = 'a\x1b[2J\u202e\nb';
  const safe = /a\\x1b\[2j\\u\{202e\}\\nb/gi;
  const event = {
    time: 1,
    class_name: bad,
    activity_name: bad,
    severity: bad,
    action: bad,
    device: { uid: bad },
    actor: { user: { uid: bad } },
    connection_info: { protocol_name: bad },
    dst_endpoint: { hostname: bad, port: 1 },
    proxy_endpoint: { name: bad },
    firewall_rule: { name: bad },
    status_detail: bad,
    unmapped: { exec: { id: bad } },
    metadata: { labels: [bad] },
  };
  const line = renderShort(event);
  t.is(line.match(safe)?.length, 13);
  t.notRegex(line, /[\u0000-\u001f\u202a-\u202e]/);
  t.regex(renderShort({ process: { cmd_line: bad }, status_code: bad }), safe);
});

test('renderShort: hostile texts in every place of every class give one line, bounded, with nothing a terminal obeys', (t) => {
  const uniform = seeded(20_261_125);
  const random = (below: number): number => Math.floor(uniform() * below);
  for (let round = 0; round < 40; round += 1) {
    for (const sample of samples) {
      const line = renderShort(withTexts(sample, () => hostileText(random)));
      // By property: control and format characters (bidirectional marks among them), separators, halves of pairs.
      t.notRegex(line, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      t.true(line.length <= maxShortLength, `${line.length} characters`);
    }
  }
});

test('renderShort: a text cannot pass for another field of the line', (t) => {
  const line = renderShort({
    ...{ class_uid: 4001, activity_name: 'Refuse', severity: 'Low', action: 'Denied', device: { uid: 'vm1' } },
    dst_endpoint: { hostname: 'a rule=allow "x" [b]', port: 1 },
  });
  t.is(line, '? network/refuse LOW denied vm1 > - "a rule=allow \\"x\\" [b]":1');
  const lookups = {
    'rule=allow': '"rule=allow"',
    '>': '">"',
    '[T1095]': '"[T1095]"',
    '[::1]': '[::1]',
    'a=b': '"a=b"',
  };
  for (const [hostname, shown] of Object.entries(lookups)) {
    t.is(
      renderShort({ class_uid: 4003, activity_name: 'Query', query: { hostname } }),
      `? dns/query ? - - > - ${shown}`,
    );
  }
});

test('renderShort: colour is on severity and verdict alone, and only where it is asked for', (t) => {
  const event = { time: 0, class_uid: 4001, severity: 'High', severity_id: 4, action: 'Denied' };
  t.notRegex(renderShort(event), /\x1b/);
  t.true(renderShort(event, { color: true }).includes('\x1b[31mHIGH\x1b[0m \x1b[31mdenied\x1b[0m'));
  for (const sample of samples) {
    const colored = renderShort(sample, { color: true });
    t.is(colored.replace(/\x1b\[[\d;]*m/g, ''), renderShort(sample));
  }
});

test('renderShort: a long command is cut', (t) => {
  t.true(renderShort({ process: { cmd_line: 'x'.repeat(1e6) } }).length < 400);
  t.true(renderShort({ process: { cmd_line: '\u{e0041}'.repeat(1e6) } }).length < 400);
});

/** The same event with every text of it replaced, names of keys apart. */
function withTexts(value: unknown, text: () => string): unknown {
  if (typeof value === 'string') return text();
  if (Array.isArray(value)) return value.map((part) => withTexts(part, text));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, withTexts(part, text)]));
}

function hostileText(random: (below: number) => number): string {
  const pieces = [
    '\x1b[31m',
    '\x1b]0;x\x07',
    '\u009b2J',
    '\n',
    '\r',
    '\0',
    '\u202e',
    '\u2066',
    '\u061c',
    '\u2028',
    '\u{e0041}',
    '\ud83d',
    '\udc00',
    '\u{1f600}',
    '" > tcp 1.2.3.4',
    'ordinary',
    '\\',
    String.fromCharCode(random(0x10000)),
    String.fromCodePoint(0x10000 + random(0x100000)),
  ];
  return Array.from({ length: random(400) }, () => pieces[random(pieces.length)] ?? '').join('');
}
