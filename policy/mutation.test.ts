import test from 'ava';
import { isTapwardenError } from '../base/errors.ts';
import { checkAddress } from './check-address.ts';
import { compileDirect } from './compile-direct.ts';
import { decideHost } from './decide-host.ts';
import { explain } from './explain.ts';
import type { Policy } from './model.ts';
import { parsePolicy } from './parse.ts';
import { parsePolicyModel } from './parse-model.ts';

/** A seeded source of numbers below 1. Source: mulberry32, in the public domain. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const corpus = [
  `version: 1
resolve: {demo.example: [127.0.0.1], "b\\u00fccher.example": "2001:db8::1"}
rules:
  - name: packages
    hosts: [pypi.org, "*.pythonhosted.org"]
    ports: [443, "8000-8010"]
  - name: intranet
    addresses: [10.1.2.0/24, "2001:db8::1"]
    ports: [443]
  - {name: ntp, addresses: [192.0.2.10, 0.0.0.0/0], ports: [123], protocol: udp, via: direct}
`,
  '{"version": 1, "rules": [{"name": "a", "addresses": ["::/0"], "ports": [1, "2-9"], "via": "direct"}]}',
  'version: 1\nrules:\n- name: a\n  addresses: &x [192.0.2.1]\n  protocol: !!str icmp\n  via: direct\n--- \n<<: *x',
];

const pieces = [
  ...'\0\n\t :-?[]{},&*!|>\'"%@`#/\\.0x9~=é\u2028\ud800',
  '*.',
  '::',
  '0x',
  '1e9',
  'null',
  '---\n',
  '&a ',
  '*a',
  '<<: ',
  '__proto__: ',
  'constructor',
  '/0',
  '/33',
  '%eth0',
  'xn--',
];

const pick = <T>(random: () => number, list: readonly T[]): T => {
  const item = list[Math.floor(random() * list.length)];
  if (item === undefined) throw new RangeError('empty list');
  return item;
};

function mutate(random: () => number, text: string): string {
  let result = text;
  for (let count = 1 + Math.floor(random() * 2); count > 0; count -= 1) {
    const from = Math.floor(random() * (result.length + 1));
    const to = Math.min(result.length, from + Math.floor(random() * 6));
    const inserted = random() < 0.3 ? result.slice(from, from + 20) : random() < 0.8 ? pick(random, pieces) : '';
    result = result.slice(0, random() < 0.5 ? from : to) + inserted + result.slice(to);
  }
  return result;
}

/** Runs `body`; gives what it returned, or `undefined` for a TapwardenError that is no bug. */
function tried<T>(body: () => T): T | undefined {
  try {
    return body();
  } catch (thrown) {
    if (isTapwardenError(thrown) && thrown.code !== 'BUG') return undefined;
    throw thrown;
  }
}

test('parsePolicy: mutated text gives a policy or a TapwardenError, in bounded time', (t) => {
  const random = seeded(20_251);
  const begin = performance.now();
  let good = 0;
  for (let round = 0; round < 4000; round += 1) {
    const text = mutate(random, pick(random, corpus));
    const policy = tried(() => parsePolicy(text, { file: 'x' }));
    if (policy === undefined) continue;
    good += 1;
    t.deepEqual(parsePolicyModel(JSON.parse(JSON.stringify(policy))), policy, text);
    compileDirect(policy, { exclude: ['192.0.2.0/28', '2001:db8::1'] });
  }
  t.true(good > 200 && good < 3800, `${good} of 4000 mutants were policies: the mutations are worth something`);
  t.true(performance.now() - begin < 30_000);
});

test('parsePolicyModel: mutated data gives a policy or a TapwardenError', (t) => {
  const random = seeded(7);
  const model = JSON.stringify(parsePolicy(corpus[0] ?? '', { file: 'x' }));
  const odd: readonly unknown[] = [
    null,
    true,
    -1,
    1.5,
    '',
    'x',
    [],
    {},
    [[]],
    { toString: 1 },
    '10.0.0.1/8',
    [1],
    2 ** 60,
  ];
  let refused = 0;
  for (let round = 0; round < 4000; round += 1) {
    let left = Math.floor(random() * 40);
    const replacement = pick(random, odd);
    const data: unknown = JSON.parse(model, (_, value: unknown) => {
      left -= 1;
      return left === -1 ? replacement : value;
    });
    const policy = tried(() => parsePolicyModel(data));
    if (policy === undefined) refused += 1;
    else t.deepEqual<unknown, unknown>(policy, data);
  }
  t.true(refused > 2000, String(refused));
});

test('decideHost, checkAddress, explain: odd hosts never throw, and are never allowed without a rule', (t) => {
  const random = seeded(99);
  const policy: Policy = {
    version: 1,
    resolve: [],
    rules: [{ kind: 'proxy', name: 'a', hosts: ['a.example', '*.b.example'], addresses: [], ports: [[443, 443]] }],
  };
  const hosts = ['a.example', 'x.b.example', '127.0.0.1', '[2001:db8::1]', '::ffff:1.2.3.4', 'bücher.example'];
  for (let round = 0; round < 4000; round += 1) {
    const host = mutate(random, pick(random, hosts));
    const decision = decideHost(policy, { host, port: 443 });
    if (decision.kind === 'allow') {
      const name = decision.host.kind === 'name' ? decision.host.name : '';
      t.true(name === 'a.example' || /^[a-z0-9._-]+\.b\.example$/.test(name), JSON.stringify(host));
    }
    t.notRegex(explain(policy, { host, port: 443 }), /[\0-\x09\x0b-\x1f\x7f\u2028]/);
    checkAddress(policy, { address: host, port: 443, hostAddresses: [] });
  }
});
