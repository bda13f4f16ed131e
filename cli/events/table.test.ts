import test from 'ava';
import { renderTableHead, renderTableRow } from './table.ts';

const event = {
  time: 1_790_000_000_123,
  ...{ class_uid: 4001, activity_id: 5, severity_id: 3, severity: 'Medium', action_id: 2, action: 'Denied', count: 2 },
  metadata: { labels: ['loss:possible'] },
  device: { uid: 'vm1' },
  dst_endpoint: { ip: '203.0.113.10', port: 4444 },
  connection_info: { protocol_name: 'tcp' },
  firewall_rule: { name: 'reject-tcp' },
  status_detail: 'Only the proxy leads out.',
};

const head =
  'TIME                      EVENT               SEVERITY       VERDICT   WHO                             WHAT                                      RULE            WHY';
const row =
  '2026-09-21T14:13:20.123Z  network/refuse      MEDIUM         denied    vm1                             tcp 203.0.113.10:4444                     reject-tcp      "Only the proxy leads out." x2 [loss:possible]';

test('renderTableRow: the parts of the shorthand stand under their titles', (t) => {
  t.is(renderTableHead({}), head);
  t.is(renderTableRow(event, {}), row);
});

test('renderTableRow: long texts are cut to their columns, the last one to the terminal', (t) => {
  const long = { ...event, dst_endpoint: { hostname: `${'h'.repeat(36)}\u{1f600}.example`, port: 443 } };
  t.is(
    renderTableRow(long, { columns: 189 }),
    `${row.slice(0, 103)}tcp ${'h'.repeat(35)}…  reject-tcp      "Only the proxy leads out."…`,
  );
  const pair = { ...event, dst_endpoint: { hostname: `${'h'.repeat(34)}\u{1f600}.example`, port: 443 } };
  t.is(
    renderTableRow(pair, {})
      .slice(103, 103 + 40)
      .trimEnd(),
    `tcp ${'h'.repeat(34)}…`,
  );
  t.is(renderTableRow(event, { columns: 20 }), `${row.slice(0, 161)}"Only the proxy lea…`);
});

test('renderTableRow: colours do not move the columns', (t) => {
  const colored = renderTableRow(event, { color: true });
  t.true(colored.includes('\x1b[33mMEDIUM       \x1b[0m  \x1b[31mdenied  \x1b[0m  vm1'));
  t.is(colored.replace(/\x1b\[[\d;]*m/g, ''), row);
});

test('renderTableRow: any event gives one line', (t) => {
  t.is(renderTableRow({}, {}).split('\n').length, 1);
  t.notRegex(renderTableRow({ message: 'a\x1b[2J\n\u202e', class_name: '\n' }, {}), /[\p{Cc}\p{Cf}]/u);
});
