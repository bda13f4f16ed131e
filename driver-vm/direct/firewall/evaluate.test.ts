import test from 'ava';
import type { NftObject } from '../../../nft/index.ts';
import { knownRange } from '../../../policy/index.ts';
import { evaluate, type Verdict } from './evaluate.ts';
import { type Json, readListing } from './listing.ts';
import type { Packet } from './packet.ts';

const packet: Packet = {
  direction: 'original',
  family: 'ip',
  iifname: 'twv7',
  oifname: 'eth0',
  saddr: knownRange('100.64.0.0/10'),
  daddr: knownRange('192.0.2.10/32'),
  protocol: 6,
  sport: undefined,
  dport: [443, 443],
};

type Rules = readonly (readonly Json[])[];
type Policy = 'accept' | 'drop';

/** A ruleset of one base chain and of others that it may jump to. */
function listed(rules: Rules, policy: Policy, others: Readonly<Record<string, Rules>> = {}, hook = 'forward') {
  const place = { family: 'inet', table: 't' };
  const rulesOf = (chain: string, all: Rules): readonly NftObject[] =>
    all.map((expr, handle) => ({ rule: { ...place, chain, handle, expr } }));
  return readListing(
    [
      { chain: { ...place, name: 'base', hook, type: 'filter', prio: 0, policy } },
      ...Object.keys(others).map((name) => ({ chain: { ...place, name } })),
      { set: { ...place, name: 'near', elem: [{ prefix: { addr: '192.0.2.0', len: 24 } }] } },
      { map: { ...place, name: 'fate', elem: [[{ elem: { val: 443 } }, { drop: null }]] } },
      ...rulesOf('base', rules),
      ...Object.entries(others).flatMap(([name, all]) => rulesOf(name, all)),
    ],
    [],
  );
}

const match = (left: Json, right: Json, op = '=='): Json => ({ match: { op, left, right } });
const meta = (key: string): Json => ({ meta: { key } });
const header = (protocol: string, field: string): Json => ({ payload: { protocol, field } });
const accept: Json = { accept: null };
const drop: Json = { drop: null };
const jump = (target: string): Json => ({ jump: { target } });
const goto = (target: string): Json => ({ goto: { target } });
const limit: Json = { limit: { rate: 5, burst: 5, per: 'second' } };
const setMark = (value: Json): Json => ({ mangle: { key: { meta: { key: 'mark' } }, value } });

/** Whether a match holds: a rule that accepts by it stands before a policy of drop. */
const truthOf = (statement: Json, which: Packet = packet): string =>
  ({ accepts: 'yes', drops: 'no', 'may-drop': 'maybe' })[evaluate(listed([[statement, accept]], 'drop'), which).kind];

const yes: readonly Json[] = [
  match(meta('iifname'), 'twv7'),
  match(meta('iifname'), 'twv*'),
  match(meta('iif'), 'twv7'),
  match(meta('oifname'), { set: ['eth1', 'eth0'] }),
  match(meta('oifname'), 'eth1', '!='),
  match(meta('nfproto'), 'ipv4'),
  match(meta('l4proto'), 'tcp'),
  match(meta('l4proto'), { set: ['udp', 6] }),
  match(meta('l4proto'), 'gre', '!='),
  match(header('ip', 'protocol'), 'tcp'),
  match(meta('mark'), 0),
  match({ '&': [meta('mark'), 255] }, 0),
  match(header('ip', 'daddr'), '192.0.2.10'),
  match(header('ip', 'daddr'), { range: ['192.0.2.1', '192.0.2.10'] }),
  match(header('ip', 'daddr'), '@near'),
  match(header('ip', 'saddr'), { prefix: { addr: '100.0.0.0', len: 8 } }),
  match(header('ip', 'saddr'), { prefix: { addr: '10.0.0.0', len: 8 } }, '!='),
  match(header('tcp', 'dport'), 443),
  match(header('th', 'dport'), { set: [22, { range: [440, 450] }] }),
  match(header('tcp', 'dport'), 1024, '<'),
  match(header('tcp', 'dport'), 443, '>='),
  match(header('tcp', 'flags'), 'syn'),
  match({ '&': [header('tcp', 'flags'), ['fin', 'syn', 'rst', 'ack']] }, 'syn'),
  match({ '&': [header('tcp', 'flags'), { '|': ['fin', 'ack'] }] }, 0),
  match(header('tcp', 'flags'), 'syn', 'in'),
  match({ ct: { key: 'state' } }, ['established', 'new'], 'in'),
  match({ ct: { key: 'state' } }, { set: ['new', 'untracked'] }),
  match({ ct: { key: 'direction' } }, 'original'),
  match({ fib: { result: 'type', flags: ['daddr'] } }, 'unicast'),
  match({ fib: { result: 'oif', flags: ['saddr', 'iif'] } }, false, '!='),
  match({ concat: [meta('iifname'), header('tcp', 'dport')] }, { set: [{ concat: ['twv7', 443] }] }),
  { counter: { packets: 0, bytes: 0 } },
  { log: null },
];

const no: readonly Json[] = [
  match(meta('iifname'), 'twv'),
  match(meta('iifname'), 'docker*'),
  match(meta('nfproto'), 'ipv6'),
  match(meta('skuid'), 0),
  match(meta('skuid'), 0, '!='),
  match(header('ip6', 'daddr'), { prefix: { addr: '2000::', len: 3 } }),
  match(header('udp', 'dport'), 443),
  match(header('udp', 'dport'), 443, '!='),
  match(header('ip', 'daddr'), '@near', '!='),
  match(header('tcp', 'dport'), 1024, '>'),
  match({ ct: { key: 'state' } }, 'invalid', 'in'),
  match({ ct: { key: 'status' } }, 'dnat', 'in'),
  match({ fib: { result: 'type', flags: 'daddr' } }, { set: ['local', 'broadcast'] }),
  match({ fib: { result: 'oif', flags: ['saddr', 'mark', 'iif'] } }, '0'),
  match(meta('mark'), 16),
];

const maybe: readonly Json[] = [
  match(header('ip', 'saddr'), '100.64.0.1'),
  match(header('ip', 'ttl'), 1),
  match(header('tcp', 'sport'), 22),
  match(header('ip', 'daddr'), '@nowhere'),
  match(meta('iifgroup'), 0),
  match(meta('l4proto'), 'a-protocol-of-tomorrow'),
  match({ tomorrow: null }, 1),
  match({ ct: { key: 'mark' } }, 1),
  match(header('tcp', 'dport'), 443, 'like'),
  limit,
  { quota: { val: 5, val_unit: 'mbytes' } },
  { set: { op: 'add', elem: header('ip', 'saddr'), set: '@near' } },
  { xt: { type: 'match', name: 'conntrack' } },
  { xt: null },
];

for (const [truth, statements] of [
  ['yes', yes],
  ['no', no],
  ['maybe', maybe],
] as const) {
  for (const statement of statements) {
    test(`evaluate: ${truth}: ${JSON.stringify(statement)}`, (t) => t.is(truthOf(statement), truth));
  }
}

const chains: Readonly<Record<string, readonly [Rules, Policy, Readonly<Record<string, Rules>>, Verdict['kind']]>> = {
  'an empty chain is its policy, accept': [[], 'accept', {}, 'accepts'],
  'an empty chain is its policy, drop': [[], 'drop', {}, 'drops'],
  'a first verdict wins': [[[accept], [drop]], 'drop', {}, 'accepts'],
  'a drop that may match, before an accept': [[[limit, drop], [accept]], 'accept', {}, 'may-drop'],
  'an accept that may match, before a drop': [[[limit, accept], [drop]], 'accept', {}, 'may-drop'],
  'a drop that may match, before another': [[[limit, drop], [drop]], 'accept', {}, 'drops'],
  'a jump comes back': [[[jump('a')], [accept]], 'drop', { a: [] }, 'accepts'],
  'a return comes back': [[[jump('a')], [accept]], 'drop', { a: [[{ return: null }], [drop]] }, 'accepts'],
  'a goto does not come back': [[[goto('a')], [accept]], 'drop', { a: [] }, 'drops'],
  'a goto from a jump comes back behind the jump': [
    [[jump('a')], [accept]],
    'drop',
    { a: [[goto('b')], [drop]], b: [] },
    'accepts',
  ],
  'a return of a base chain is its policy': [[[{ return: null }], [accept]], 'drop', {}, 'drops'],
  'a reject is a drop': [[[{ reject: { type: 'tcp reset' } }]], 'accept', {}, 'drops'],
  'a chain that is not listed may do anything': [[[jump('gone')]], 'accept', {}, 'may-drop'],
  'a verdict map': [[[{ vmap: { key: header('tcp', 'dport'), data: '@fate' } }]], 'accept', {}, 'drops'],
  'a verdict map that has no such key': [
    [[{ vmap: { key: meta('mark'), data: '@fate' } }], [drop]],
    'accept',
    {},
    'drops',
  ],
  'a verdict map of unknown key': [
    [[{ vmap: { key: header('tcp', 'sport'), data: { set: [[1, drop]] } } }]],
    'accept',
    {},
    'may-drop',
  ],
  'a verdict map that jumps': [
    [[{ vmap: { key: { ct: { key: 'state' } }, data: { set: [['new', jump('a')]] } } }]],
    'accept',
    { a: [[drop]] },
    'drops',
  ],
  'a mark that was set': [[[setMark(5)], [match(meta('mark'), 5), accept]], 'drop', {}, 'accepts'],
  'a mark with a bit more': [
    [[setMark(4)], [setMark({ '|': [meta('mark'), 1] })], [match(meta('mark'), 5), accept]],
    'drop',
    {},
    'accepts',
  ],
  'a mark that may have been set': [
    [
      [limit, setMark(5)],
      [match(meta('mark'), 5), accept],
    ],
    'drop',
    {},
    'may-drop',
  ],
  'a mark in a chain that may have run': [
    [
      [limit, jump('a')],
      [match(meta('mark'), 5), accept],
    ],
    'drop',
    { a: [[setMark(5)]] },
    'may-drop',
  ],
  'a mark behind a return that may have run': [
    [[jump('a')], [match(meta('mark'), 5), accept]],
    'drop',
    { a: [[limit, { return: null }], [setMark(5)]] },
    'may-drop',
  ],
  'a target of iptables that has no name': [[[{ xt: null }]], 'accept', {}, 'may-drop'],
  'a match of iptables that has no name, before a drop': [[[{ xt: null }, drop]], 'accept', {}, 'may-drop'],
  'a comment of iptables': [[[{ xt: { type: 'match', name: 'comment' } }, drop]], 'accept', {}, 'drops'],
  'REJECT of iptables': [[[{ xt: { type: 'target', name: 'REJECT' } }]], 'accept', {}, 'drops'],
  'a mark by iptables': [
    [[{ xt: { type: 'target', name: 'MARK' } }], [match(meta('mark'), 0), accept]],
    'drop',
    {},
    'may-drop',
  ],
  'a packet that is sent elsewhere': [[[{ dnat: { addr: '192.0.2.1' } }]], 'accept', {}, 'may-drop'],
  'a packet that a program decides on': [[[{ queue: { num: 1 } }]], 'accept', {}, 'may-drop'],
  'a statement of tomorrow': [[[{ tomorrow: { x: 1 } }]], 'accept', {}, 'may-drop'],
  'a state that notrack made unknown': [
    [[{ notrack: null }], [match({ ct: { key: 'state' } }, 'new'), accept]],
    'drop',
    {},
    'may-drop',
  ],
};

for (const [title, [rules, policy, others, kind]] of Object.entries(chains)) {
  test(`evaluate: ${title}`, (t) => t.is(evaluate(listed(rules, policy, others), packet).kind, kind));
}

test('evaluate: replies are established, and come from the port', (t) => {
  const reply: Packet = {
    ...packet,
    direction: 'reply',
    iifname: 'eth0',
    oifname: 'twv7',
    saddr: packet.daddr,
    daddr: packet.saddr,
    sport: [443, 443],
    dport: undefined,
  };
  t.is(truthOf(match({ ct: { key: 'state' } }, ['established'], 'in'), reply), 'yes');
  t.is(truthOf(match({ ct: { key: 'state' } }, 'new', 'in'), reply), 'no');
  t.is(truthOf(match(header('tcp', 'sport'), 443), reply), 'yes');
  t.is(truthOf(match(meta('oifname'), 'twv*'), reply), 'yes');
  t.is(truthOf(match(header('tcp', 'flags'), { set: ['syn', 'ack'] }), reply), 'no');
  t.is(truthOf(match(meta('mark'), 0), reply), 'maybe', 'its mark may be the connection’s');
});

test('evaluate: hooks that these packets do not pass are not looked at', (t) => {
  for (const hook of ['input', 'output', 'ingress']) {
    t.is(evaluate(listed([[drop]], 'drop', {}, hook), packet).kind, 'accepts', hook);
  }
  for (const hook of ['prerouting', 'forward', 'postrouting']) {
    t.is(evaluate(listed([[drop]], 'accept', {}, hook), packet).kind, 'drops', hook);
  }
  t.is(
    evaluate(listed([[match(meta('oifname'), 'eth0', '!='), drop]], 'accept', {}, 'prerouting'), packet).kind,
    'accepts',
  );
});

test('evaluate: chains that jump to chains without end are given up, and said to be possible', (t) => {
  const others = Object.fromEntries(
    Array.from({ length: 15 }, (_, n) => [`c${n}`, Array.from({ length: 8 }, () => [jump(`c${n + 1}`)])]),
  );
  const begun = Date.now();
  const { kind, drops, steps } = evaluate(listed([[jump('c0')]], 'accept', { ...others, c15: [] }), packet);
  t.is(kind, 'may-drop');
  t.is(drops[0]?.by, 'rules that are too many to follow');
  t.true(steps < 200_000, `${steps} rules`);
  t.true(Date.now() - begun < 5000);
});

test('evaluate: a listing of any form is read without an error', (t) => {
  for (const expr of [
    null,
    5,
    'x',
    [],
    [null],
    [5],
    [{}],
    [{ match: null }],
    [{ vmap: 7 }],
    [{ match: { op: '==' } }],
  ]) {
    const listing = readListing(
      [
        { chain: { family: 'ip', table: 't', name: 'c', hook: 'forward', type: 'filter', policy: 'accept' } },
        { rule: { family: 'ip', table: 't', chain: 'c', handle: 1, expr } },
      ],
      [],
    );
    t.notThrows(() => evaluate(listing, packet), JSON.stringify(expr));
  }
});
