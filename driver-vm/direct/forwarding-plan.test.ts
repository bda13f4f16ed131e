import test from 'ava';
import { isTapwardenError } from '../../base/index.ts';
import { elementsOf, type ForwardingFacts, planForwarding } from './forwarding-plan.ts';

const facts = (values: Readonly<Record<string, string>>, more: Partial<ForwardingFacts> = {}): ForwardingFacts => ({
  egress4: ['eth0'],
  egress6: [],
  values: new Map(Object.entries(values)),
  advertised: [],
  ...more,
});

const eth0 = 'net/ipv4/conf/eth0/forwarding';
const eth0Force = 'net/ipv6/conf/eth0/force_forwarding';
const all6 = 'net/ipv6/conf/all/forwarding';

test('planForwarding: opens the interfaces on which replies come, and not the host', (t) => {
  const plan = planForwarding(facts({ 'net/ipv4/ip_forward': '0', [eth0]: '0', [all6]: '0' }));
  t.deepEqual(plan, { changes: [{ path: eth0, former: '0' }], turnOn: [eth0] });
  t.deepEqual(elementsOf(plan.changes), { opened: ['ipv4 . "eth0"'], closed: [] });
});

test('planForwarding: a router needs nothing', (t) => {
  const router = { 'net/ipv4/ip_forward': '1', [eth0]: '1', [all6]: '1', [eth0Force]: '0' };
  t.deepEqual(planForwarding(facts(router, { egress6: ['eth0'] })), { changes: [], turnOn: [] });
});

test('planForwarding: an interface that is gone is passed over', (t) => {
  t.deepEqual(planForwarding(facts({ 'net/ipv4/ip_forward': '0' })), { changes: [], turnOn: [] });
});

test('planForwarding: IPv6 by interface where the kernel can', (t) => {
  const plan = planForwarding(
    facts({ [eth0]: '0', [all6]: '0', [eth0Force]: '0' }, { egress6: ['eth0'], advertised: ['eth0'] }),
  );
  t.deepEqual(plan.turnOn, [eth0, eth0Force]);
  t.deepEqual(elementsOf(plan.changes), { opened: ['ipv4 . "eth0"', 'ipv6 . "eth0"'], closed: [] });
});

test('planForwarding: IPv6 of the whole host where it cannot, every interface put back after the host', (t) => {
  const other = 'net/ipv6/conf/br0/forwarding';
  const own = 'net/ipv6/conf/eth0/forwarding';
  const plan = planForwarding(facts({ [eth0]: '1', [all6]: '0', [own]: '0', [other]: '1' }, { egress6: ['eth0'] }));
  t.deepEqual(plan.turnOn, [all6]);
  t.deepEqual(plan.changes, [
    { path: all6, former: '0' },
    { path: own, former: '0' },
    { path: other, former: '1' },
  ]);
  t.deepEqual(elementsOf(plan.changes), { opened: [], closed: ['ipv6'] });
});

test('planForwarding: a host that lives on router advertisements is left alone', (t) => {
  const error = t.throws(() => planForwarding(facts({ [all6]: '0' }, { egress6: ['eth0'], advertised: ['eth0'] })));
  t.true(isTapwardenError(error, 'FORWARDING_UNSAFE'), String(error));
  t.regex(error?.message ?? '', /net\.ipv6\.conf\.eth0\.accept_ra=2/);
});

test('elementsOf: names of interfaces are taken whole', (t) => {
  t.deepEqual(elementsOf([{ path: 'net/ipv4/conf/eth0.100/forwarding', former: '0' }]).opened, ['ipv4 . "eth0.100"']);
});
