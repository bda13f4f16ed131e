import test from 'ava';
import { renderShort } from './shorthand.ts';

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
  ];
  for (const value of values) {
    for (const color of [true, false]) t.is(renderShort(value, { color }).split('\n').length, 1);
  }
});

test('renderShort: every text of the event is escaped', (t) => {
  const bad = 'a\x1b[2J\u202e\nb';
  const safe = /a\\x1b\[2J\\u\{202e\}\\nb/i;
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
  t.is(line.match(new RegExp(safe, 'gi'))?.length, 13);
  t.notRegex(line, /[\u0000-\u001f\u202a-\u202e]/);
  t.regex(renderShort({ process: { cmd_line: bad }, status_code: bad }), safe);
});

test('renderShort: colour is on severity and verdict alone, and only where it is asked for', (t) => {
  const event = { time: 0, class_uid: 4001, severity: 'High', severity_id: 4, action: 'Denied' };
  t.notRegex(renderShort(event), /\x1b/);
  t.true(renderShort(event, { color: true }).includes('\x1b[31mHIGH\x1b[0m \x1b[31mdenied\x1b[0m'));
});

test('renderShort: a long command is cut', (t) => {
  t.true(renderShort({ process: { cmd_line: 'x'.repeat(1e6) } }).length < 400);
});
