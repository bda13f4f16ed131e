import test from 'ava';
import { matchesGolden } from '../e2e/support/golden.ts';
import { endsOf } from '../e2e/support/table-structure.ts';
import { type DirectDestination, renderChains, renderRuleset, renderRulesetOver } from '../nft/index.ts';
import { guestExecMarks } from './exec-marks.ts';
import { accountSetNames, type FenceSpec, fenceCounters, fenceRuleset, generationChains } from './fence.ts';
import { lineBurstOf } from './fence-loader.ts';
import { guestRuleset } from './guest-table.ts';

const tag = 'abcdefghijklmnop';
const direct: readonly DirectDestination[] = [
  { rule: 'ntp', protocol: 17, cidr: '192.0.2.10/32', ports: [123, 123] },
  { rule: 'mirror', protocol: 6, cidr: '2001:db8::/64', ports: [8000, 8010] },
  { rule: 'ping', protocol: 1, cidr: '198.51.100.0/24', ports: null },
];

const all: FenceSpec = { tag, log: true, account: true, execs: guestExecMarks, generation: 'a', direct: [] };

const rendered = {
  fence: fenceRuleset(all),
  'fence-unlogged': fenceRuleset({ ...all, log: false }),
  'fence-least': fenceRuleset({ ...all, log: false, account: false, execs: undefined }),
  'fence-direct': fenceRuleset({ ...all, direct }),
  guest: guestRuleset([]),
  'guest-direct': guestRuleset(direct),
} as const;

for (const [name, ruleset] of Object.entries(rendered)) {
  test(`renderRuleset() of ${name} is the golden`, (t) => {
    matchesGolden(t, `supervisor/testdata/${name}.nft`, renderRuleset(ruleset));
  });
}

test('fenceRuleset() ends in a refusal with nothing behind it, and drops what falls through', (t) => {
  for (const name of ['fence', 'fence-unlogged', 'fence-least', 'fence-direct'] as const) {
    t.deepEqual(endsOf(rendered[name]), { output: { last: 'goto refuse', policy: 'drop', behind: [] } });
    const refuse = rendered[name].chains.find((chain) => chain.name === 'refuse');
    t.is(refuse?.rules.at(-1)?.body, 'reject with icmpx admin-prohibited');
  }
});

test('fenceRuleset() accepts lo, the proxy and the direct destinations, each once, and nothing else', (t) => {
  const accepts = (name: keyof typeof rendered): readonly string[] =>
    rendered[name].chains.flatMap(({ rules }) => rules.flatMap(({ body }) => (/\baccept\b/.test(body) ? [body] : [])));
  const own = ['oifname "lo" accept', 'oifname "eth0" ip daddr 10.200.0.1 tcp dport 3128 counter name allowed accept'];
  t.deepEqual(accepts('fence'), own);
  t.deepEqual(accepts('fence-unlogged'), own);
  t.deepEqual(accepts('fence-direct'), [
    ...own,
    'oifname "eth0" ip daddr 192.0.2.10/32 meta l4proto 17 th dport 123 counter name direct accept',
    'oifname "eth0" ip6 daddr 2001:db8::/64 meta l4proto 6 th dport 8000-8010 counter name direct accept',
    'oifname "eth0" ip daddr 198.51.100.0/24 meta l4proto 1 counter name direct accept',
  ]);
});

test('fenceRuleset() gives no chain but refuse a verdict that ends a packet, and no set update one at all', (t) => {
  for (const { name, hook, rules } of rendered['fence-direct'].chains) {
    if (name === 'refuse' || hook !== undefined) continue;
    for (const { body } of rules) t.notRegex(body, /\b(?:accept|drop|reject)\b/, `${name}: ${body}`);
  }
});

test('fenceRuleset() fills every counter that it has, and names none that it has not', (t) => {
  const text = renderRuleset(rendered['fence-direct']);
  for (const counter of fenceCounters) t.regex(text, new RegExp(`\\bcounter name ${counter}\\b`));
});

test('fenceRuleset() refuses a tag that is no tag', (t) => {
  t.throws(() => fenceRuleset({ ...all, tag: 'a" accept #' }), { code: 'RULESET_INVALID' });
});

test('fenceRuleset() over one that stands deletes neither the table nor a counter', (t) => {
  const text = renderRulesetOver(rendered.fence);
  matchesGolden(t, 'supervisor/testdata/fence-over.nft', text);
  t.notRegex(text, /^(?:delete|destroy|reset)\b/m);
  t.deepEqual(text.match(/^flush .*/gm), ['flush table inet tapwarden_fence', 'flush map inet tapwarden_fence execs']);
});

test('fenceRuleset() of another generation changes the counting chains, and adds its sets', (t) => {
  const text = renderChains(fenceRuleset({ ...all, generation: 'b' }), generationChains);
  matchesGolden(t, 'supervisor/testdata/fence-rotation.nft', text);
  t.deepEqual(text.match(/^flush .*$/gm), [
    'flush chain inet tapwarden_fence count4',
    'flush chain inet tapwarden_fence count4_portless',
    'flush chain inet tapwarden_fence count6',
    'flush chain inet tapwarden_fence count6_portless',
  ]);
  for (const name of accountSetNames('a')) t.notRegex(text, new RegExp(`\\b${name}\\b`));
});

test('fenceRuleset() counts before it logs, logs before it refuses, and marks before it counts', (t) => {
  const bodies = rendered.fence.chains.find(({ name }) => name === 'output')?.rules.map(({ body }) => body) ?? [];
  const order = [
    'counter name denied',
    'jump kinds',
    'meta mark set 0',
    'level 2 map @execs',
    'jump count4',
    'jump log4',
    'goto refuse',
  ];
  const places = order.map((part) => bodies.findIndex((body) => body.includes(part)));
  t.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
  t.true(places.every((place) => place >= 0));
});

test('guestRuleset() drops at the end of input and forward, and masquerades for direct rules alone', (t) => {
  const ends = {
    input: { last: 'counter name denied_input drop', policy: 'drop', behind: [] },
    forward: { last: 'counter name denied_forward drop', policy: 'drop', behind: [] },
  };
  t.deepEqual(endsOf(rendered.guest), ends);
  t.deepEqual(endsOf(rendered['guest-direct']), {
    ...ends,
    postrouting: { last: 'oifname "eth0" masquerade', policy: 'accept', behind: [] },
  });
  const forward = rendered.guest.chains.find(({ name }) => name === 'forward');
  t.is(forward?.rules.length, 1);
});

test('fenceRuleset() writes no more lines at once than the log that they go to holds', (t) => {
  const capOf = (spec: FenceSpec) =>
    /limit rate over 2000\/second burst (\d+) packets/.exec(renderRuleset(fenceRuleset(spec)))?.[1];
  t.is(capOf(all), '2000');
  t.is(capOf({ ...all, lineBurst: lineBurstOf(128 * 1024) }), '128');
  t.is(lineBurstOf(16 * 1024 * 1024), 2000);
  t.is(lineBurstOf(4096), 64);
});
