import test from 'ava';
import { TapwardenError } from '../base/errors.ts';
import { addRules, parseAllow } from './allow.ts';
import { denyAll } from './model.ts';
import { parsePolicy } from './parse.ts';
import { parsePolicyModel } from './parse-model.ts';

const policy = addRules(
  parsePolicy(
    `version: 1
resolve: {demo.example: [127.0.0.1, "::1"], __proto__: 192.0.2.1}
rules:
  - {name: a, hosts: [pypi.org, "*.b.example"], addresses: [10.0.0.0/8], ports: [443, "1-5"]}
  - {name: b, addresses: ["2001:db8::1"], ports: [53], protocol: udp, via: direct}
  - {name: c, addresses: [192.0.2.1], protocol: icmp, via: direct}
`,
    { file: 'p' },
  ),
  [parseAllow('[2001:db8::1]:443', 1)],
);

test('parsePolicyModel: returns every policy that went through JSON', (t) => {
  for (const each of [policy, denyAll]) t.deepEqual(parsePolicyModel(JSON.parse(JSON.stringify(each))), each);
});

const rule = { kind: 'proxy', name: 'a', hosts: ['a.example'], addresses: [], ports: [[443, 443]] };
const direct = { kind: 'direct', name: 'd', addresses: ['192.0.2.1/32'], protocol: 'udp', ports: [[1, 2]] };
const withRule = (change: object) => ({ ...denyAll, rules: [{ ...rule, ...change }] });
const withDirect = (change: object) => ({ ...denyAll, rules: [{ ...direct, ...change }] });
const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`);

test('parsePolicyModel: the data that the table below bends is good', (t) => {
  t.notThrows(() => parsePolicyModel(withRule({})));
  t.notThrows(() => parsePolicyModel(withDirect({})));
});

const refused: Readonly<Record<string, unknown>> = {
  nothing: undefined,
  null: null,
  text: 'version: 1',
  'a list': [],
  'an empty object': {},
  'another version': { ...denyAll, version: 2 },
  'a version as text': { ...denyAll, version: '1' },
  'no names to resolve': { version: 1, rules: [] },
  'a surplus key': { ...denyAll, extra: 1 },
  'rules that are a map': { ...denyAll, rules: {} },
  'rules that are null': { ...denyAll, rules: null },
  'a rule that is null': { ...denyAll, rules: [null] },
  'too many rules': { ...denyAll, rules: Array.from({ length: 1001 }, (_, i) => ({ ...rule, name: `r${i}` })) },
  'duplicate names': { ...denyAll, rules: [rule, rule] },
  'an unknown kind': withRule({ kind: 'any' }),
  'no kind': withRule({ kind: undefined }),
  'the file key for the kind': withRule({ via: 'direct' }),
  'a bad name': withRule({ name: 'A' }),
  'a name as number': withRule({ name: 1 }),
  'a surplus key of a rule': withRule({ extra: 1 }),
  'a protocol of a proxied rule': withRule({ protocol: 'udp' }),
  'no hosts and no addresses': withRule({ hosts: [] }),
  'hosts that are left out': withRule({ hosts: undefined }),
  'a host in upper case': withRule({ hosts: ['A.example'] }),
  'a host with a final dot': withRule({ hosts: ['a.example.'] }),
  'a host twice': withRule({ hosts: ['a.example', 'a.example'] }),
  'a lone wildcard': withRule({ hosts: ['*'] }),
  'an address without prefix length': withRule({ addresses: ['10.0.0.1'] }),
  'an address with host bits': withRule({ addresses: ['10.0.0.1/8'] }),
  'an address in long form': withRule({ addresses: ['2001:db8:0::1/128'] }),
  'a mapped address': withRule({ addresses: ['::ffff:10.0.0.1/128'] }),
  'no ports': withRule({ ports: [] }),
  'ports as text': withRule({ ports: ['443'] }),
  'ports as numbers': withRule({ ports: [443] }),
  'ports as pairs of text': withRule({ ports: [['1', '2']] }),
  'ports of three numbers': withRule({ ports: [[1, 2, 3]] }),
  'ports in reverse': withRule({ ports: [[2, 1]] }),
  'port 0': withRule({ ports: [[0, 1]] }),
  'port 65536': withRule({ ports: [[1, 65536]] }),
  'port 1.5': withRule({ ports: [[1.5, 2]] }),
  'hosts of a direct rule': withDirect({ hosts: ['a.example'] }),
  'empty hosts of a direct rule': withDirect({ hosts: [] }),
  'an unknown protocol': withDirect({ protocol: 'gre' }),
  'no protocol': withDirect({ protocol: undefined }),
  'ports of ICMP': withDirect({ protocol: 'icmp' }),
  'resolve as a map': { ...denyAll, resolve: { a: ['192.0.2.1'] } },
  'an answer that is none': { ...denyAll, resolve: [{ host: 'a', addresses: ['x'] }] },
  'no answers': { ...denyAll, resolve: [{ host: 'a', addresses: [] }] },
  'a single answer': { ...denyAll, resolve: [{ host: 'a', addresses: '192.0.2.1' }] },
  'a name twice': {
    ...denyAll,
    resolve: [
      { host: 'a', addresses: ['192.0.2.1'] },
      { host: 'a', addresses: ['192.0.2.1'] },
    ],
  },
  'a name that is an object': { ...denyAll, resolve: [{ host: { toString: 1 }, addresses: ['192.0.2.1'] }] },
  'a surplus key of an answer': { ...denyAll, resolve: [{ host: 'a', addresses: ['192.0.2.1'], x: 1 }] },
  'deep nesting at the top': nested(100_000),
  'deep nesting in a rule': withRule({ hosts: nested(100_000) }),
  'deep nesting in a surplus key': { ...denyAll, extra: nested(100_000) },
};
for (const [what, value] of Object.entries(refused)) {
  test(`parsePolicyModel: refuses ${what}`, (t) => {
    t.throws(() => parsePolicyModel(value), { instanceOf: TapwardenError, code: 'POLICY_INVALID' });
  });
}

test('parsePolicyModel: says where the mistake is', (t) => {
  const error = t.throws(() => parsePolicyModel(withRule({ hosts: ['ok.example', 'a b'] })), {
    instanceOf: TapwardenError,
  });
  t.is(error?.message, 'policy from another process: rules[0].hosts[1]: "a b" has a character that no name has');
  t.is(error?.details['path'], 'rules[0].hosts[1]');
});
