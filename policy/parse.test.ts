import test from 'ava';
import { isTapwardenError, TapwardenError } from '../base/errors.ts';
import { policyLimits } from './model.ts';
import { parsePolicy } from './parse.ts';
import type { Problem } from './problem.ts';

const parse = (text: string) => parsePolicy(text, { file: 'p.yaml' });

/** The problems of a text, as `line:column path: message`. */
function problemsOf(text: string): readonly string[] {
  try {
    parse(text);
    return [];
  } catch (thrown) {
    if (!isTapwardenError(thrown, 'POLICY_INVALID')) throw thrown;
    const problems = thrown.details['problems'] as readonly Problem[];
    return problems.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
  }
}

const example = `version: 1
resolve:
  Demo.example.: [127.0.0.1, "2001:DB8::0:1"]
  bücher.example: 192.0.2.1
rules:
  - name: packages
    hosts: [PyPI.org, "*.pythonhosted.org.", pypi.org, _dmarc.example, faß.example]
    ports: [443, "8000-8010"]
  - name: intranet
    addresses: [10.1.2.0/24, "2001:db8::1", ::/0]
    ports: ["443"]
  - name: ntp
    addresses: [192.0.2.10]
    ports: [123]
    protocol: udp
    via: direct
  - {name: ping, addresses: [192.0.2.10], protocol: icmp, via: direct}
  - {name: tcp, addresses: [192.0.2.11], ports: [25], via: direct}
`;

test('parsePolicy: reads every key and normalises names and addresses', (t) => {
  t.deepEqual(parse(example), {
    version: 1,
    resolve: [
      { host: 'demo.example', addresses: ['127.0.0.1', '2001:db8::1'] },
      { host: 'xn--bcher-kva.example', addresses: ['192.0.2.1'] },
    ],
    rules: [
      {
        kind: 'proxy',
        name: 'packages',
        hosts: ['pypi.org', '*.pythonhosted.org', '_dmarc.example', 'xn--fa-hia.example'],
        addresses: [],
        ports: [
          [443, 443],
          [8000, 8010],
        ],
      },
      {
        kind: 'proxy',
        name: 'intranet',
        hosts: [],
        addresses: ['10.1.2.0/24', '2001:db8::1/128', '::/0'],
        ports: [[443, 443]],
      },
      { kind: 'direct', name: 'ntp', addresses: ['192.0.2.10/32'], protocol: 'udp', ports: [[123, 123]] },
      { kind: 'direct', name: 'ping', addresses: ['192.0.2.10/32'], protocol: 'icmp', ports: [] },
      { kind: 'direct', name: 'tcp', addresses: ['192.0.2.11/32'], protocol: 'tcp', ports: [[25, 25]] },
    ],
  });
});

test('parsePolicy: reads the same from JSON', (t) => {
  const json = '{"version": 1, "rules": [{"name": "a", "hosts": ["a.example"], "ports": [443, "1-2"]}]}';
  t.deepEqual(parse(json).rules, [
    {
      kind: 'proxy',
      name: 'a',
      hosts: ['a.example'],
      addresses: [],
      ports: [
        [443, 443],
        [1, 2],
      ],
    },
  ]);
  t.deepEqual(parse(json), parse(`\ufeff${json}`), 'a byte order mark is no part of the policy');
});

test('parsePolicy: an empty list of rules denies everything', (t) => {
  t.deepEqual(parse('version: 1\nrules: []\n').rules, []);
});

const invalid = test.macro({
  exec: (t, text: string, want: readonly string[]) => t.deepEqual(problemsOf(text), want),
  title: (title) => `parsePolicy: refuses ${title}`,
});

test('an empty file', invalid, '', ['1:1 : The policy is empty']);
test('comments alone', invalid, '# nothing\n', ['1:1 : The policy is empty']);
test('null', invalid, 'null', ['1:1 : Here must stand a map, not null']);
test('a list at the top', invalid, '- 1', ['1:1 : Here must stand a map, not a list']);
test('a missing version', invalid, 'rules: []', ["1:1 : The key 'version' is missing"]);
test('another version', invalid, 'rules: []\nversion: 2', ['2:10 version: Version 2 is not supported']);
test('a version in another notation', invalid, 'rules: []\nversion: 0x1', [
  '2:10 version: Version 0x1 is not supported',
]);
test('missing rules', invalid, '\nversion: 1', ["2:1 : The key 'rules' is missing"]);
test('unknown keys at the top', invalid, 'version: 1\nrules: []\nruels: []', ['3:1 ruels: The key ruels is unknown']);
test('duplicate YAML keys', invalid, 'version: 1\nrules: []\nrules: []', ['3:1 rules: The key rules stands twice']);
test('aliases', invalid, 'version: &v 1\nrules: []\nresolve: *v', [
  '3:10 resolve: Aliases are not allowed in a policy',
]);
test('merge keys', invalid, 'version: 1\nrules: []\n<<: {}', ['3:1 <<: Merge keys are not allowed in a policy']);
test('tags', invalid, 'version: 1\nrules: !!seq []', ['2:14 rules: The tag tag:yaml.org,2002:seq is not allowed']);
test('unknown tags', invalid, 'version: !x 1\nrules: []', ['1:13 version: The tag !x is not allowed']);
test('keys that are not text', invalid, 'version: 1\nrules: []\n? [a]\n: 1', ['3:3 : A key must be plain text']);
test('a second document', invalid, 'version: 1\nrules: []\n---\na', ['3:1 : A second YAML document begins here']);
test('text that is not YAML', invalid, 'version: 1\nrules: [', [
  '2:9 : This is not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
]);
test('two lists where one rule stands', invalid, 'version: 1\nrules: [[]]', [
  '2:9 rules[0]: Here must stand a map, not a list',
]);
test('rules that are no list', invalid, 'version: 1\nrules: 5', [
  '2:8 rules: Here must stand a list, not the number 5',
]);

/** A file with one rule, whose keys begin in column 5 of line 4. */
const withRule = (...lines: readonly string[]) =>
  `version: 1\nrules:\n  - name: a\n${lines.map((line) => `    ${line}\n`).join('')}`;

const port = "'ports'";
test('a rule with nothing but a name', invalid, withRule(), [
  "3:5 rules[0]: The rule has neither 'hosts' nor 'addresses'",
  `3:5 rules[0]: The rule has no ${port}`,
]);
test('a rule without name', invalid, 'version: 1\nrules: [{hosts: [a.example], ports: [1]}]', [
  "2:9 rules[0]: The rule has no 'name'",
]);
test('unknown keys of a rule', invalid, withRule('hosts: [a.example]', 'port: [1]'), [
  `3:5 rules[0]: The rule has no ${port}`,
  '5:5 rules[0].port: The key port is unknown',
]);
test('unknown keys with hostile text', invalid, withRule('hosts: [a.example]', 'ports: [1]', '"a\\e[31m": 1'), [
  '6:5 rules[0]."a\\\\e[31m": The key "a\\\\e[31m" is unknown'.replaceAll('"a\\\\e[31m"', 'a\\x1b[31m'),
]);
test(
  'duplicate names',
  invalid,
  `${withRule('hosts: [a.example]', 'ports: [1]')}  - {name: a, hosts: [b], ports: [1]}`,
  ['6:12 rules[1].name: The name a is taken by the rule on line 3'],
);
for (const name of ['A', '-a', 'a b', '""', 'a/b', 'a'.repeat(64)]) {
  test(`the rule name ${name.slice(0, 8)}`, invalid, `version: 1\nrules:\n- {name: ${name}, hosts: [a], ports: [1]}`, [
    `3:10 rules[0].name: ${name.includes(' ') ? '"a b"' : name} is not a name for a rule`,
  ]);
}

const badHost = test.macro({
  exec: (t, text: string, message: string) =>
    t.deepEqual(problemsOf(withRule(`hosts: [ok.example, ${text}]`, 'ports: [1]')), [
      `4:25 rules[0].hosts[1]: ${message}`,
    ]),
  title: (_, text: string) => `parsePolicy: refuses the host ${text.slice(0, 80)} of ${text.length} characters`,
});
const wild = 'has a wildcard that is not the whole first label';
const label = "has a label that is not letters, digits, '-' inside, and '_'";
test(badHost, '"*"', '* would allow every name');
test(badHost, '"*."', '*. would allow every name');
test(badHost, '"a.*.b"', `a.*.b ${wild}`);
test(badHost, '"*a.b"', `*a.b ${wild}`);
test(badHost, '"*.*.b"', `*.*.b ${wild}`);
test(badHost, '"*.a.*"', `*.a.* ${wild}`);
test(badHost, '"*.10.0.0.1"', '10.0.0.1 is an IP address');
test(badHost, '"*..a"', '.a has an empty label');
test(badHost, 'https://pypi.org', 'https://pypi.org has a scheme');
test(badHost, 'https://u:p@pypi.org/x', 'https://u:p@pypi.org/x has a scheme');
test(badHost, 'pypi.org:443', 'pypi.org:443 has a port');
test(badHost, 'pypi.org/simple', 'pypi.org/simple has a path');
test(badHost, 'u@pypi.org', 'u@pypi.org has user information');
test(badHost, '192.0.2.1', '192.0.2.1 is an IP address');
test(badHost, '10.0.0.0/8', '10.0.0.0/8 is an IP address');
test(badHost, '"192.0.2.1."', '192.0.2.1. ends in a number, so it could be taken for an address');
test(badHost, '"2001:db8::1"', '2001:db8::1 is an IP address');
test(badHost, '"[2001:db8::1]"', '[2001:db8::1] is an IP address');
test(badHost, '"[2001:db8::1]:443"', '[2001:db8::1]:443 is an IP address');
test(badHost, '"fe80::1%eth0"', 'fe80::1%eth0 has a zone id');
test(badHost, '"127.1"', '127.1 ends in a number, so it could be taken for an address');
test(badHost, '"0x7f.0x1"', '0x7f.0x1 ends in a number, so it could be taken for an address');
test(badHost, '１２７.0.0.1', '１２７.0.0.1 ends in a number, so it could be taken for an address');
test(badHost, 'a..b', 'a..b has an empty label');
test(badHost, '"."', '. has an empty label');
test(badHost, '""', 'The host is empty');
test(badHost, '"a b"', '"a b" has a character that no name has');
test(badHost, '"a\\0b"', 'a\\x00b has a character that no name has');
test(badHost, '"a%2eb"', 'a%2eb has a character that no name has');
test(badHost, '-a.example', `-a.example ${label}`);
test(badHost, 'a-.example', `a-.example ${label}`);
test(badHost, 'a^b', `a^b ${label}`);
test(badHost, '"\\u00ad"', '\\xad is not a name that IDNA allows');
test(badHost, `${'a'.repeat(64)}.b`, `${'a'.repeat(64)}.b has a label of more than 63 characters`);
test(badHost, 'aa.'.repeat(90), `${'aa.'.repeat(90).slice(0, 80)}… is longer than 253 characters`);
test(badHost, 'a'.repeat(1001), `${'a'.repeat(80)}… is too long for a name`);
test(badHost, '5', 'Here must stand text, not the number 5');
test(badHost, 'null', 'Here must stand text, not null');
test(badHost, '[a]', 'Here must stand text, not a list');
test('hosts that are no list', invalid, withRule('hosts: a.example', 'ports: [1]'), [
  '4:12 rules[0].hosts: Here must stand a list, not the text a.example',
]);
test('hosts without value', invalid, withRule('hosts:', 'ports: [1]'), [
  '4:11 rules[0].hosts: Here must stand a list, not nothing',
]);
for (const key of ['hosts', 'addresses', 'ports']) {
  const others = { hosts: 'ports: [1]', addresses: 'ports: [1]', ports: 'hosts: [a.example]' }[key] ?? '';
  test(`an empty list of ${key}`, invalid, withRule(`${key}: []`, others), [
    `4:${5 + key.length + 2} rules[0].${key}: The list is empty`,
  ]);
}

const badAddress = test.macro({
  exec: (t, text: string, message: string, hint?: string) => {
    const file = withRule(`addresses: [192.0.2.0/24, ${text}]`, 'ports: [1]');
    t.deepEqual(problemsOf(file), [`4:31 rules[0].addresses[1]: ${message}`]);
    if (hint !== undefined) t.true(t.throws(() => parse(file))?.message.endsWith(`\n${hint}`));
  },
  title: (_, text: string) => `parsePolicy: refuses the address ${text}`,
});
const odd = 'is not an IP address or CIDR';
const four = 'Write IPv4 addresses as four decimal numbers from 0 to 255, without leading zeros.';
test(
  badAddress,
  '10.1.2.3/24',
  '10.1.2.3/24 has host bits set',
  'Write 10.1.2.0/24 for the network, or 10.1.2.3 for the one address.',
);
test(
  badAddress,
  '"2001:db8::1/32"',
  '2001:db8::1/32 has host bits set',
  'Write 2001:db8::/32 for the network, or 2001:db8::1 for the one address.',
);
test(badAddress, '"1.2.3"', `1.2.3 ${odd}`, four);
test(badAddress, '0x10.1.1.1', `0x10.1.1.1 ${odd}`, four);
test(badAddress, '010.1.1.1', `010.1.1.1 ${odd}`, four);
test(badAddress, '256.1.1.1', `256.1.1.1 ${odd}`, four);
test(badAddress, '"0x7f000001"', `0x7f000001 ${odd}`, four);
test(badAddress, '"2130706433"', `2130706433 ${odd}`, four);
test(badAddress, 'pypi.org', `pypi.org ${odd}`, "Names go in 'hosts'.");
test(badAddress, '"192.0.2.1:80"', `192.0.2.1:80 ${odd}`, "Leave out the port; it goes in 'ports'.");
test(badAddress, '"[2001:db8::1]"', `[2001:db8::1] ${odd}`, 'Leave out the brackets.');
test(badAddress, '"[2001:db8::1]:80"', `[2001:db8::1]:80 ${odd}`, "Leave out the port; it goes in 'ports'.");
test(
  badAddress,
  '"fe80::1%eth0"',
  'fe80::1%eth0 has a zone id',
  'A zone means nothing outside one host; leave it out.',
);
test(
  badAddress,
  '"::ffff:10.1.2.3"',
  '::ffff:10.1.2.3 is IPv4-mapped IPv6',
  'Write 10.1.2.3: mapped addresses are judged as the IPv4 address that they hold.',
);
test(
  badAddress,
  '"::ffff:10.0.0.0/104"',
  '::ffff:10.0.0.0/104 is IPv4-mapped IPv6',
  'Write 10.0.0.0/8: mapped addresses are judged as the IPv4 address that they hold.',
);
for (const prefix of ['33', '-1', '08', '', '1.0', '8/8', '0x8', '1e1', ' 8', '999']) {
  const text = `10.0.0.0/${prefix}`;
  test(badAddress, `"${text}"`, `${text.includes(' ') ? `"${text}"` : text} has a bad prefix length`);
}
test(badAddress, '"2001:db8::/129"', '2001:db8::/129 has a bad prefix length');
test(badAddress, '10.1', 'Here must stand text, not the number 10.1');
test(badAddress, '{"fe80:": null}', 'Here must stand text, not a map', 'Write it in quotes if it is meant as text.');

const badPort = test.macro({
  exec: (t, text: string, message: string) =>
    t.deepEqual(problemsOf(withRule('hosts: [a.example]', `ports: [443, ${text}]`)), [
      `5:18 rules[0].ports[1]: ${message}`,
    ]),
  title: (_, text: string) => `parsePolicy: refuses the port ${text}`,
});
for (const text of [
  '0',
  '65536',
  '99999999999999999999',
  '-1',
  '1.5',
  '1e3',
  '0x1bb',
  '0443',
  'http',
  '1-',
  '1-2-3',
  '0-5',
  '1-65536',
]) {
  test(badPort, text, `${text} is not a port`);
}
test(badPort, '" 1"', '" 1" is not a port');
test(badPort, '"1 - 2"', '"1 - 2" is not a port');
test(badPort, '9-1', 'The range 9-1 ends before it begins');
test(badPort, 'true', 'Here must stand a number or text, not true');

test('hosts of a direct rule', invalid, withRule('hosts: [a.example]', 'ports: [1]', 'via: direct'), [
  "4:12 rules[0].hosts: A rule with 'via: direct' cannot have hosts",
]);
test('a protocol of a proxied rule', invalid, withRule('hosts: [a.example]', 'ports: [1]', 'protocol: udp'), [
  "6:15 rules[0].protocol: 'protocol' needs 'via: direct'",
]);
test('an unknown protocol', invalid, withRule('addresses: [192.0.2.1]', 'ports: [1]', 'protocol: upd', 'via: direct'), [
  '6:15 rules[0].protocol: upd is not one of tcp, udp, udplite, sctp, icmp, icmpv6',
]);
test('an unknown way', invalid, withRule('addresses: [192.0.2.1]', 'ports: [1]', 'via: drect'), [
  '6:10 rules[0].via: drect is not one of proxy, direct',
]);
test('ports of ICMP', invalid, withRule('addresses: [192.0.2.1]', 'ports: [1]', 'protocol: icmp', 'via: direct'), [
  '5:12 rules[0].ports: icmp has no ports',
]);
test('ICMP to IPv6', invalid, withRule('addresses: ["2001:db8::1"]', 'protocol: icmp', 'via: direct'), [
  '4:16 rules[0].addresses: icmp does not go to 2001:db8::1/128',
]);
test('ICMPv6 to IPv4', invalid, withRule('addresses: [192.0.2.1]', 'protocol: icmpv6', 'via: direct'), [
  '4:16 rules[0].addresses: icmpv6 does not go to 192.0.2.1/32',
]);

const withResolve = (line: string) => `version: 1\nrules: []\nresolve:\n  ${line}\n`;
test('a wildcard to resolve', invalid, withResolve('"*.a": 192.0.2.1'), ['4:3 resolve.*.a: *.a has a wildcard']);
test('an address to resolve', invalid, withResolve('192.0.2.1: 192.0.2.1'), [
  '4:3 resolve.192.0.2.1: 192.0.2.1 is an IP address',
]);
test('names to resolve that are the same', invalid, withResolve('a: 192.0.2.1\n  A.: 192.0.2.1'), [
  '5:3 resolve.A.: The name a stands twice',
]);
test('a CIDR as answer', invalid, withResolve('a: [192.0.2.0/24]'), [
  '4:7 resolve.a[0]: 192.0.2.0/24 is not an IP address',
]);
test('no answers', invalid, withResolve('a: []'), ['4:6 resolve.a: The list is empty']);
test('a name as answer', invalid, withResolve('a: b.example'), ['4:6 resolve.a: b.example is not an IP address']);

test('parsePolicy: suggests the nearest known key', (t) => {
  for (const [wrong, right] of [
    ['host', 'hosts'],
    ['Hosts', 'hosts'],
    ['adresses', 'addresses'],
    ['prots', 'ports'],
    ['protcol', 'protocol'],
  ] as const) {
    const error = t.throws(() => parse(withRule('hosts: [a]', 'ports: [1]', 'addresses: [192.0.2.1]', `${wrong}: 1`)));
    t.true(error?.message.endsWith(`Did you mean '${right}'?`), error?.message);
  }
  const error = t.throws(() => parse('version: 1\nrules: []\nxyz: 1'));
  t.true(error?.message.endsWith('Known keys: version, resolve, rules.'));
});

test('parsePolicy: puts all problems into one error, the first of the file first', (t) => {
  const text = 'version: 3\nrules:\n  - {name: a, hosts: ["*"], ports: [0]}\n';
  const error = t.throws(() => parse(text), { instanceOf: TapwardenError, code: 'POLICY_INVALID' });
  t.is(
    error?.message,
    `p.yaml:1:10: version: Version 3 is not supported
  Write 'version: 1'.
p.yaml:3:23: rules[0].hosts[0]: * would allow every name
  Name the hosts, or the domains as '*.example.org'.
p.yaml:3:37: rules[0].ports[0]: 0 is not a port
  Write a decimal number from 1 to 65535, or a range such as "8000-8010".`,
  );
  const { problems, ...first } = error?.details ?? {};
  t.deepEqual(first, { file: 'p.yaml', line: 1, column: 10, path: 'version', count: 3 });
  t.is((problems as readonly Problem[]).length, 3);
});

test('parsePolicy: a file of many problems makes an error of bounded size', (t) => {
  const error = t.throws(() => parse(withRule('hosts: [a]', `ports: [${'0,'.repeat(900)}]`)), {
    instanceOf: TapwardenError,
  });
  t.is(error?.details['count'], 900);
  t.is((error?.details['problems'] as readonly Problem[] | undefined)?.length, 100);
  t.true(error?.message.endsWith('… and 800 more problems'));
});

test('parsePolicy: escapes the name of the file', (t) => {
  const error = t.throws(() => parsePolicy('', { file: 'a\x1b[31m' }));
  t.true(error?.message.startsWith('a\\x1b[31m:1:1: '));
});

test('parsePolicy: refuses more than a policy may hold', (t) => {
  const list = (count: number, item: (index: number) => string) =>
    Array.from({ length: count }, (_, i) => item(i)).join(', ');
  const full = withRule(`hosts: [${list(policyLimits.items, (i) => `h${i}.example`)}]`, 'ports: [1]');
  t.deepEqual(problemsOf(full), []);
  t.deepEqual(problemsOf(withRule(`hosts: [${list(1001, () => 'a.example')}]`, 'ports: [1]')), [
    '4:12 rules[0].hosts: The list has 1001 entries; 1000 are allowed',
  ]);
  t.deepEqual(problemsOf(`version: 1\nrules: [${list(1001, (i) => `{name: r${i}, hosts: [a], ports: [1]}`)}]`), [
    '2:8 rules: The list has 1001 entries; 1000 are allowed',
  ]);
  t.deepEqual(problemsOf(`version: 1\nrules: []\nresolve: {${list(1001, (i) => `h${i}: 192.0.2.1`)}}`), [
    '3:10 resolve: The map has 1001 entries; 1000 are allowed',
  ]);
  t.deepEqual(
    problemsOf(
      `version: 1\nrules: [${list(101, (i) => `{name: r${i}, addresses: [192.0.2.1], ports: [1], via: direct}`)}]`,
    ),
    ['2:8 rules: The policy has 101 direct rules; 100 are allowed'],
  );
  const direct = `addresses: [${list(100, (i) => `192.0.2.${i}`)}], ports: [${list(21, (i) => String(i + 1))}], via: direct`;
  t.deepEqual(problemsOf(`version: 1\nrules: [{name: a, ${direct}}]`), [
    '2:8 rules: The direct rules have 2100 pairs of address and ports; 2000 are allowed',
  ]);
});

const size = policyLimits.fileBytes;
const costly: Readonly<Record<string, string>> = {
  'open brackets': '['.repeat(size),
  'open braces': '{'.repeat(size),
  'closing brackets': ']'.repeat(size),
  'nested maps': '{a: '.repeat(size / 4),
  'nested lists': '- '.repeat(size / 2),
  'nested keys': '? '.repeat(size / 2),
  'nested blocks': Array.from({ length: 1400 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
  anchors: '&a '.repeat(size / 3),
  tags: '!a '.repeat(size / 3),
  directives: '%a\n'.repeat(size / 3),
  documents: '---\n'.repeat(size / 4),
  quotes: '"'.repeat(size),
  commas: `[${','.repeat(size - 1)}`,
  colons: ': '.repeat(size / 2),
  'line ends': '\n'.repeat(size),
  aliases: `[&a 1, ${'*a, '.repeat(size / 4 - 4)}]`,
  keys: Array.from({ length: 20_000 }, (_, i) => `k${i}:`).join('\n'),
  'too many bytes': ' '.repeat(size + 1),
  'too many bytes in wide characters': 'é'.repeat(size / 2 + 1),
};
for (const [what, text] of Object.entries(costly)) {
  test.serial(`parsePolicy: refuses ${what} in bounded time`, (t) => {
    const begin = performance.now();
    t.throws(() => parse(text), { instanceOf: TapwardenError, code: 'POLICY_INVALID' });
    t.true(performance.now() - begin < 10_000);
  });
}
