import test from 'ava';
import { matchesGolden } from '../e2e/support/golden.ts';
import { type Feature, probes } from './features.ts';
import type { Ruleset } from './model.ts';
import { renderChains, renderRuleset, renderRulesetOver } from './render.ts';

/** Everything that the model can say, in one table. */
const everything: Ruleset = {
  table: { family: 'inet', name: 'everything' },
  counters: ['seen', 'dropped'],
  sets: [
    { name: 'plain', type: 'ipv4_addr' },
    { name: 'ranges', type: 'ipv4_addr', flags: ['interval'], elements: ['192.0.2.0/24', '198.51.100.1-198.51.100.9'] },
    { name: 'ports', type: 'inet_proto . inet_service', flags: ['constant'], elements: ['6 . 80', '17 . 53'] },
    { name: 'marks', type: 'cgroupsv2', data: 'mark', size: 8 },
    { name: 'colours', type: 'inet_proto', data: 'mark', elements: ['6 : 1', '17 : 2'] },
    { name: 'counted', type: 'mark . ipv4_addr', flags: ['dynamic'], size: 64, counter: true },
    { name: 'recent', type: 'ipv6_addr', flags: ['dynamic', 'timeout'], size: 64, timeoutS: 30 },
  ],
  chains: [
    { name: 'empty', rules: [] },
    { name: 'side', rules: [{ body: 'counter name seen return', comment: 'a side chain' }] },
    {
      name: 'pre',
      hook: { type: 'filter', hook: 'prerouting', priority: -300, policy: 'accept' },
      rules: [
        { body: 'iifname "eth0" ip saddr @ranges jump side', comment: 'a jump, by a set of ranges' },
        { body: 'update @recent { ip6 saddr }', comment: 'a set that packets fill' },
        { body: 'meta l4proto . th dport @ports counter name dropped drop', comment: 'UTF-8: grün' },
      ],
    },
    {
      name: 'out',
      hook: { type: 'nat', hook: 'postrouting', priority: 'srcnat', policy: 'accept' },
      rules: [{ body: 'oifname "eth0" masquerade', comment: 'nat' }],
    },
  ],
};

test('renderRuleset() renders a whole table as its golden has it, and the same twice', (t) => {
  matchesGolden(t, 'nft/testdata/everything.nft', renderRuleset(everything));
  t.is(renderRuleset(everything), renderRuleset(structuredClone(everything)));
});

test('renderRulesetOver() makes the chains, flushes all rules and adds those of the model', (t) => {
  matchesGolden(t, 'nft/testdata/everything-over.nft', renderRulesetOver(everything));
});

test('renderChains() flushes the chains that are named, and no others', (t) => {
  const text = renderChains(everything, ['side']);
  t.deepEqual(text.match(/^flush .*$/gm), ['flush chain inet everything side']);
  t.true(text.endsWith('\tchain side {\n\t\tcounter name seen return comment "a side chain"\n\t}\n}\n'), text);
  t.notRegex(text, /hook|delete/);
  t.throws(() => renderChains(everything, ['none']), { code: 'RULESET_INVALID' });
});

test('renderRuleset() renders an empty table', (t) => {
  t.is(
    renderRuleset({ table: { family: 'netdev', name: 'none' }, counters: [], sets: [], chains: [] }),
    'table netdev none\ndelete table netdev none\ntable netdev none {\n}\n',
  );
});

test('renderRuleset() renders the probe of each feature as the golden has it', (t) => {
  const texts = (Object.keys(probes) as Feature[]).map((name) => {
    const probe: Pick<Ruleset, 'chains'> & Partial<Ruleset> = probes[name];
    const table = { family: 'inet', name: 'tapwarden_probe' } as const;
    return `# ${name}\n${renderRuleset({ table, counters: [], sets: probe.sets ?? [], chains: probe.chains })}`;
  });
  matchesGolden(t, 'nft/testdata/probes.nft', texts.join('\n'));
});
