import test from 'ava';
import type { TapwardenError } from '../base/index.ts';
import type { Chain, NftSet, Rule, Ruleset } from './model.ts';
import { renderRuleset } from './render.ts';
import { validateRuleset } from './validate.ts';

const hook: NonNullable<Chain['hook']> = { type: 'filter', hook: 'output', priority: 'filter', policy: 'drop' };
const base: Ruleset = { table: { family: 'inet', name: 'x' }, counters: [], sets: [], chains: [] };
const withRule = (body: string, comment = 'why', more: Partial<Ruleset> = {}): Ruleset => ({
  ...base,
  ...more,
  chains: [...(more.chains ?? []), { name: 'output', hook, rules: [{ body, comment }] }],
});
const withSet = (set: NftSet): Ruleset => ({ ...base, sets: [set] });
const fine: Rule = { body: 'counter', comment: 'why' };
const dynamic: NftSet = { name: 'seen', type: 'ipv4_addr', flags: ['dynamic'], size: 8 };

const refused: readonly (readonly [string, Ruleset, string, RegExp])[] = [
  ['a table that begins with a digit', { ...base, table: { family: 'inet', name: '1x' } }, "table '1x'", /a name is/],
  ['a table of 64 characters', { ...base, table: { family: 'inet', name: 'x'.repeat(64) } }, "table 'xxx", /a name is/],
  ['a table with a newline', { ...base, table: { family: 'inet', name: 'x\n' } }, "table 'x\\n'", /a name is/],
  ['an empty counter name', { ...base, counters: [''] }, "counter ''", /a name is/],
  ['a counter twice', { ...base, counters: ['a', 'a'] }, 'counter a', /used twice/],
  ['a set twice', { ...base, sets: [dynamic, dynamic] }, 'set seen', /used twice/],
  [
    'a chain twice',
    {
      ...base,
      chains: [
        { name: 'a', rules: [] },
        { name: 'a', rules: [] },
      ],
    },
    'chain a',
    /used twice/,
  ],
  ['a chain name with a space', { ...base, chains: [{ name: 'a b', rules: [] }] }, "chain 'a b'", /a name is/],
  ['a set type that is none', withSet({ name: 's', type: 'ipv4_addr; }' }), 'set s', /not a set type/],
  [
    'a dynamic set without a size',
    withSet({ name: 's', type: 'ipv4_addr', flags: ['dynamic'] }),
    'set s',
    /needs a size/,
  ],
  [
    'a hostile element',
    withSet({ name: 's', type: 'ipv4_addr', elements: ['1.2.3.4 }; x'] }),
    'set s',
    /not an element/,
  ],
  ['an empty rule', withRule(' '), 'chain output, rule 1', /empty or too long/],
  ['a rule of 4097 bytes', withRule('x'.repeat(4097)), 'chain output, rule 1', /empty or too long/],
  ['a rule of two lines', withRule('counter\naccept'), 'chain output, rule 1', /control character/],
  ['a rule with a semicolon', withRule('counter; accept'), 'chain output, rule 1', /";"/],
  ['a rule with a comment sign', withRule('counter # accept'), 'chain output, rule 1', /"#"/],
  ['a rule with a backslash', withRule('counter \\'), 'chain output, rule 1', /"\\"/],
  ['a rule with one quote', withRule('oifname "lo accept'), 'chain output, rule 1', /unbalanced quote/],
  [
    'a rule that closes its chain',
    withRule('accept } chain evil { accept'),
    'chain output, rule 1',
    /unbalanced brace/,
  ],
  ['a rule with an open brace', withRule('meta l4proto { 6'), 'chain output, rule 1', /unbalanced brace/],
  ['a rule without a comment', withRule('counter', ' '), 'chain output, rule 1', /no comment/],
  ['a comment of 129 bytes', withRule('counter', `${'é'.repeat(64)}x`), 'chain output, rule 1, comment', /129 bytes/],
  ['a comment with a quote', withRule('counter', 'a"b'), 'chain output, rule 1, comment', /quotes/],
  ['a comment with a newline', withRule('counter', 'a\nb'), 'chain output, rule 1, comment', /control/],
  [
    'a prefix of 128 bytes',
    withRule(`log prefix "${'x'.repeat(128)}"`),
    'chain output, rule 1, log prefix',
    /128 bytes/,
  ],
  ['a jump to no chain', withRule('jump nowhere'), 'chain output, rule 1', /chain 'nowhere' does not exist/],
  ['a goto to no chain', withRule('ip daddr 1.2.3.4 goto nowhere'), 'chain output, rule 1', /chain 'nowhere'/],
  ['a jump to a base chain', withRule('jump output'), 'chain output, rule 1', /chain 'output' does not exist/],
  ['a set that is not there', withRule('ip daddr @gone drop'), 'chain output, rule 1', /set 'gone' does not exist/],
  ['a counter that is not there', withRule('counter name gone'), 'chain output, rule 1', /counter 'gone'/],
  [
    'a set update with a verdict',
    withRule('add @seen { ip daddr } drop', 'why', { sets: [dynamic] }),
    'chain output, rule 1',
    /must carry no verdict/,
  ],
  [
    'an ingress hook without a device',
    { ...base, chains: [{ name: 'a', hook: { ...hook, hook: 'ingress' }, rules: [fine] }] },
    'chain a',
    /a device goes with the ingress hook/,
  ],
  [
    'a device on another hook',
    { ...base, chains: [{ name: 'a', hook: { ...hook, device: 'eth0' }, rules: [fine] }] },
    'chain a',
    /a device goes with the ingress hook/,
  ],
  [
    'a device that is no interface name',
    { ...base, chains: [{ name: 'a', hook: { ...hook, hook: 'ingress', device: 'eth0" ' }, rules: [fine] }] },
    'chain a',
    /not an interface name/,
  ],
];
for (const [what, ruleset, where, problem] of refused) {
  test(`validateRuleset() refuses ${what} and says where`, (t) => {
    const error = t.throws<TapwardenError>(() => validateRuleset(ruleset), {
      code: 'RULESET_INVALID',
      message: problem,
    });
    t.true(String(error?.details['where']).startsWith(where), `${error?.details['where']}`);
    t.throws(() => renderRuleset(ruleset), { code: 'RULESET_INVALID' });
  });
}

test('validateRuleset() takes what is just within the limits', (t) => {
  const chains: readonly Chain[] = [{ name: 'side', rules: [fine] }];
  t.notThrows(() => validateRuleset({ ...base, table: { family: 'inet', name: `_${'x'.repeat(62)}` } }));
  t.notThrows(() => validateRuleset(withRule('counter', 'x'.repeat(128))));
  t.notThrows(() => validateRuleset(withRule(`log prefix "${'x'.repeat(127)}"`)));
  t.notThrows(() => validateRuleset(withRule('jump side', 'why', { chains })));
  t.notThrows(() => validateRuleset(withRule('log prefix "@none jump nowhere { "', 'why')));
  t.notThrows(() =>
    validateRuleset(withRule('update @seen { ip daddr } goto side', 'why', { chains, sets: [dynamic] })),
  );
});
