import test from 'ava';
import { isTapwardenError } from '../../base/index.ts';
import { eventFilter, type FilterOptions, readPath } from './filter.ts';

const now = Date.parse('2026-11-23T12:00:00.000Z');

const event = {
  time: now - 60_000,
  class_uid: 4001,
  severity_id: 3,
  is_alert: true,
  message: 'Direct TCP connection refused',
  metadata: { labels: ['loss:possible', 'aggregate'] },
  device: { uid: 'vm1' },
  dst_endpoint: { ip: '192.0.2.1', port: 443 },
  attacks: [{ technique: { uid: 'T1095' } }],
  unmapped: { text: '443', odd: 'a=b!=c~d', empty: '' },
};

const accepts = test.macro({
  exec(t, options: FilterOptions, want: boolean, changed: object = {}) {
    t.is(eventFilter(options, now)({ ...event, ...changed }), want);
  },
  title: (_, options, want, changed) =>
    `eventFilter: ${JSON.stringify(options)} ${want ? 'takes' : 'leaves'} ${changed === undefined ? 'it' : JSON.stringify(changed)}`,
});

test(accepts, {}, true);
test(accepts, {}, true, { time: 'x', class_uid: null });
test(accepts, { since: '1m' }, true);
test(accepts, { since: '59s' }, false);
test(accepts, { until: '1m' }, false);
test(accepts, { until: '59s' }, true);
test(accepts, { since: '2h', until: '1h' }, false);
test(accepts, { since: '1h' }, false, { time: '2026-11-23T11:59:00Z' });
for (const name of ['4001', 'network', 'NETWORK', 'network_activity', 'Network Activity', 'network-activity']) {
  test(accepts, { class: [name] }, true);
}
const others = ['http', 'dns', 'process', 'log', 'event_log_actvity', 'Event Log Activity', 'finding', 'config'];
test(accepts, { class: [...others, 'sandbox', 'base', '4007'] }, false);
test(accepts, { class: ['http', 'network'] }, true);
test(accepts, { class: ['http', 'network'] }, true, { class_uid: 4002 });
test(accepts, { class: ['network'] }, false, { class_uid: '4001' });
test(accepts, { severity: 'low' }, true);
test(accepts, { severity: 'Medium' }, true);
test(accepts, { severity: '3' }, true);
test(accepts, { severity: 'high' }, false);
test(accepts, { severity: 'informational' }, false, { severity_id: 0 });
test(accepts, { severity: 'high' }, false, { severity_id: 99 });
test(accepts, { severity: 'high' }, false, { severity_id: '4' });
test(accepts, { sandbox: 'vm1' }, true);
test(accepts, { sandbox: 'vm2' }, false);
test(accepts, { sandbox: 'vm1' }, false, { device: null });
const where: readonly (readonly [string, boolean])[] = [
  ['dst_endpoint.port=443', true],
  ['dst_endpoint.port=443.0', true],
  ['dst_endpoint.port=44', false],
  ['unmapped.text=443', true],
  ['unmapped.text=443.0', false],
  ['metadata.labels=loss:possible', true],
  ['metadata.labels[0]=aggregate', false],
  ['attacks[].technique.uid=T1095', true],
  ['attacks.technique.uid=T1095', true],
  ['is_alert=true', true],
  ['is_alert=1', false],
  ['device={}', false],
  ['unmapped.empty=', true],
  ['unmapped.nothing=', false],
  ['unmapped.odd=a=b!=c~d', true],
  ['device.uid!=vm1', false],
  ['device.uid!=vm2', true],
  ['device.nothing!=vm2', true],
  ['metadata.labels!=aggregate', false],
  ['message~tcp CONNECTION', true],
  ['message~udp', false],
  ['dst_endpoint.port~4', true],
  ['device~o', false],
  ['message~', true],
  ['nothing~', false],
];
for (const [condition, want] of where) test(accepts, { where: [condition] }, want);
test(accepts, { where: ['is_alert=true', 'device.uid=vm2'] }, false);
test(accepts, { where: ['is_alert=true'], class: ['network'], severity: 'medium', sandbox: 'vm1', since: '1h' }, true);

const refuses = test.macro({
  exec(t, options: FilterOptions, message: RegExp) {
    const error = t.throws(() => eventFilter(options, now), { message });
    t.true(isTapwardenError(error, 'USAGE_INVALID'));
  },
  title: (_, options) => `eventFilter: ${JSON.stringify(options)} is refused`,
});

test(refuses, { since: 'soon' }, /^--since takes a time such as .*, not 'soon'/);
test(refuses, { until: '2026-02-30' }, /^--until takes a time/);
test(refuses, { since: '1h', until: '2h' }, /^--since 1h is not before --until 2h/);
test(refuses, { class: ['network', 'nothing'] }, /^--class takes .*network \(4001\).*, not 'nothing'/);
test(refuses, { class: ['-1'] }, /^--class takes/);
test(refuses, { severity: 'bad' }, /^--severity takes one of informational \(1\), .*fatal \(6\), not 'bad'/);
test(refuses, { severity: '0' }, /^--severity takes/);
test(refuses, { severity: '99' }, /^--severity takes/);
test(refuses, { where: ['message'] }, /^--where takes PATH=VALUE, .*, not 'message'/);
test(refuses, { where: ['=x'] }, /^--where takes a path/);
test(refuses, { where: ['a..b=x'] }, /^--where takes a path such as .*, not 'a\.\.b'/);

test('readPath: names the option', (t) => {
  t.throws(() => readPath('--count-by', '[0]'), { message: /^--count-by takes a path/ });
});
