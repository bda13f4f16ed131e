import test from 'ava';
import { matchesGolden } from '../e2e/support/golden.ts';
import { endsOf } from '../e2e/support/table-structure.ts';
import { type DirectDestination, renderRuleset } from '../nft/index.ts';
import { framesRuleset, slotDropCounters, slotRuleset } from './slot-table.ts';

const ip4: readonly DirectDestination[] = [
  { rule: 'ntp', protocol: 17, cidr: '192.0.2.10/32', ports: [123, 123] },
  { rule: 'ping', protocol: 1, cidr: '198.51.100.0/24', ports: null },
];
const both: readonly DirectDestination[] = [
  ...ip4,
  { rule: 'mirror', protocol: 6, cidr: '2001:db8::/64', ports: [8000, 8010] },
];

for (const [name, direct] of Object.entries({ slot: [], 'slot-direct4': ip4, 'slot-direct': both })) {
  test(`renderRuleset() of ${name} is the golden`, (t) => {
    matchesGolden(t, `driver-vm/testdata/${name}.nft`, renderRuleset(slotRuleset(direct)));
  });

  test(`slotRuleset() of ${name} ends input and forward in a counted drop, and fills every drop counter`, (t) => {
    const { input, forward } = endsOf(slotRuleset(direct));
    t.deepEqual(input, { last: 'counter name denied_input drop', policy: 'drop', behind: [] });
    t.deepEqual(forward, { last: 'counter name denied_forward drop', policy: 'drop', behind: [] });
    const bodies = slotRuleset(direct).chains.flatMap(({ rules }) => rules.map(({ body }) => body));
    for (const counter of slotDropCounters)
      t.true(bodies.some((body) => body.includes(`counter name ${counter} drop`)));
    t.is(bodies.filter((body) => / drop$/.test(body) && !/counter name/.test(body)).length, 0);
  });
}

test('slotRuleset() forwards nothing and translates nothing without direct rules', (t) => {
  const { chains } = slotRuleset([]);
  t.deepEqual(
    chains.map(({ name }) => name),
    ['ingress', 'input', 'forward'],
  );
  t.is(chains[2]?.rules.filter(({ body }) => / accept$/.test(body)).length, 0);
});

test('renderRuleset() of the table for frames is the golden', (t) => {
  matchesGolden(t, 'driver-vm/testdata/slot-frames.nft', renderRuleset(framesRuleset()));
});

test('slotRuleset() counts as the guest’s what came from the guest alone', (t) => {
  for (const direct of [[], both]) {
    for (const { name, rules } of slotRuleset(direct).chains) {
      if (name !== 'input' && name !== 'forward') continue;
      const inward = rules.findIndex(({ body }) => body === 'iifname != "tap0" counter name inward drop');
      const denied = rules.findIndex(({ body }) => body.startsWith(`counter name denied_${name} `));
      t.true(inward !== -1 && inward < denied, name);
    }
  }
});
