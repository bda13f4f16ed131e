import test from 'ava';
import { decideHost, type HostDenyCode, matchesPattern, resolveStatic } from './decide-host.ts';
import { denyAll } from './model.ts';
import { parsePolicy } from './parse.ts';

const policy = parsePolicy(
  `version: 1
resolve: {demo.example: [127.0.0.1, "::1"], bücher.example: 192.0.2.1}
rules:
  - {name: packages, hosts: [pypi.org, "*.pythonhosted.org", bücher.example, a_b.example], ports: [443, "8000-8010"]}
  - {name: plain, hosts: [pypi.org, localhost], ports: [80]}
  - {name: intranet, addresses: [10.1.2.0/24, "2001:db8::/64"], ports: [443]}
  - {name: ntp, addresses: [192.0.2.10], ports: [123], via: direct}
`,
  { file: 'p' },
);

const allow = test.macro({
  exec: (t, host: string, port: number, rule: string, canonical: string) => {
    const decision = decideHost(policy, { host, port });
    if (decision.kind === 'deny') return t.fail(decision.reason);
    t.is(decision.rule, rule);
    t.is(decision.host.kind === 'name' ? decision.host.name : decision.host.address, canonical);
    return undefined;
  },
  title: (_, host: string, port: number) => `decideHost: allows ${JSON.stringify(host)} on port ${port}`,
});
test(allow, 'pypi.org', 443, 'packages', 'pypi.org');
test(allow, 'pypi.org', 80, 'plain', 'pypi.org');
test(allow, 'PyPI.ORG', 8000, 'packages', 'pypi.org');
test(allow, 'pypi.org.', 8010, 'packages', 'pypi.org');
test(allow, 'files.pythonhosted.org', 443, 'packages', 'files.pythonhosted.org');
test(allow, 'a.b.c.PythonHosted.org.', 443, 'packages', 'a.b.c.pythonhosted.org');
test(allow, 'bücher.example', 443, 'packages', 'xn--bcher-kva.example');
test(allow, 'BÜCHER.example', 443, 'packages', 'xn--bcher-kva.example');
test(allow, 'xn--bcher-kva.example', 443, 'packages', 'xn--bcher-kva.example');
test(allow, 'pypi。org', 443, 'packages', 'pypi.org');
test(allow, 'a_b.example', 443, 'packages', 'a_b.example');
test(allow, 'localhost', 80, 'plain', 'localhost');
test(allow, '10.1.2.255', 443, 'intranet', '10.1.2.255');
test(allow, '[2001:DB8:0::1]', 443, 'intranet', '2001:db8::1');
test(allow, '2001:db8::1', 443, 'intranet', '2001:db8::1');
test(allow, '[::ffff:10.1.2.3]', 443, 'intranet', '10.1.2.3');
test(allow, '::ffff:a01:203', 443, 'intranet', '10.1.2.3');

const deny = test.macro({
  exec: (t, host: string, port: number, code: HostDenyCode, text: RegExp = /./) => {
    const decision = decideHost(policy, { host, port });
    if (decision.kind === 'allow') return t.fail(decision.rule);
    t.is(decision.code, code);
    t.regex(`${decision.reason}; ${decision.hint}`, text);
    return undefined;
  },
  title: (_, host: string, port: number) =>
    `decideHost: denies ${JSON.stringify(host.slice(0, 60))} of ${host.length} characters on port ${port}`,
});
test(
  deny,
  'example.org',
  443,
  'HOST_NOT_ALLOWED',
  /No rule allows the host example\.org; .*hosts: \[example\.org\].*ports: \[443\]/,
);
test(deny, 'pythonhosted.org', 443, 'HOST_NOT_ALLOWED', /stands for the names below pythonhosted\.org/);
test(deny, 'evilpythonhosted.org', 443, 'HOST_NOT_ALLOWED');
test(deny, 'pypi.org.evil.example', 443, 'HOST_NOT_ALLOWED');
test(deny, 'xpypi.org', 443, 'HOST_NOT_ALLOWED');
test(
  deny,
  'pypi.org',
  8011,
  'PORT_NOT_ALLOWED',
  /port 8011; rule 'packages' allows 443, 8000-8010, rule 'plain' allows 80/,
);
test(deny, 'files.pythonhosted.org', 80, 'PORT_NOT_ALLOWED', /rule 'packages' allows 443, 8000-8010;/);
test(deny, '10.1.2.3', 80, 'PORT_NOT_ALLOWED', /rule 'intranet' allows 443/);
for (const port of [0, -1, 1.5, 65536, Number.NaN, Number.POSITIVE_INFINITY])
  test(deny, 'localhost', port, 'PORT_NOT_ALLOWED');
test(deny, '10.1.3.1', 443, 'ADDRESS_NOT_ALLOWED', /addresses: \["10\.1\.3\.1"\]/);
test(deny, '[2001:db8:0:1::]', 443, 'ADDRESS_NOT_ALLOWED');
test(deny, '64:ff9b::10.1.2.3', 443, 'ADDRESS_NOT_ALLOWED');
test(deny, '192.0.2.10', 123, 'ADDRESS_NOT_ALLOWED', /The rule 'ntp' allows it without the proxy only/);
for (const host of [
  ...[
    '',
    '.',
    '..',
    'a..b',
    '.pypi.org',
    'pypi.org..',
    ' pypi.org',
    'pypi.org ',
    'pypi.org\n',
    'pypi.org\0',
    'pypi.org\0.evil',
  ],
  ...[
    'pypi.org:443',
    'u@pypi.org',
    'pypi.org/',
    'https://pypi.org',
    'pypi.org?',
    'pypi.org#x',
    'pypi.org\\x',
    'pypi%2eorg',
  ],
  ...[
    '*.pythonhosted.org',
    '*',
    '-pypi.org',
    'pypi-.org',
    `${'a'.repeat(64)}.pythonhosted.org`,
    `${'a.'.repeat(120)}pythonhosted.org`,
  ],
  ...[
    '127.1',
    '0x7f.1',
    '0x7f.0.0.1',
    '2130706433',
    '0177.0.0.1',
    '010.1.2.3',
    '10.1.2.3.',
    '10.1.2',
    '10.1.2.256',
    '1.2.3.4.5',
  ],
  ...[
    '１０.1.2.3',
    '10。1。2。3',
    '[10.1.2.3]',
    '[pypi.org]',
    '[',
    ']',
    '[]',
    '[2001:db8::1',
    '2001:db8::1]',
    '[[2001:db8::1]]',
  ],
  ...[
    'fe80::1%eth0',
    '[fe80::1%25eth0]',
    '2001:db8::1%1',
    '10.1.2.3%1',
    '2001:db8::1/64',
    '10.1.2.0/24',
    '::10.1.2',
    ':::',
    ':1',
  ],
  ...[
    'a.0x',
    'a.0x1f',
    'a.1',
    'pypi.org\u202e',
    'pypi\u2028.org',
    '\ud800.example',
    'a'.repeat(100_000),
    '[',
    'é'.repeat(2000),
  ],
].filter((host, index, all) => all.indexOf(host) === index)) {
  test(deny, host, 443, 'HOST_MALFORMED');
}

test('decideHost: a wildcard stands for no address', (t) => {
  const wild = parsePolicy('version: 1\nrules: [{name: a, hosts: ["*.example"], ports: [1]}]', { file: 'p' });
  t.is(decideHost(wild, { host: '192.0.2.1', port: 1 }).kind, 'deny');
});

test('decideHost: denyAll denies everything', (t) => {
  for (const host of ['pypi.org', '8.8.8.8', '::1', 'localhost'])
    t.is(decideHost(denyAll, { host, port: 443 }).kind, 'deny');
});

test('decideHost: reasons are short and safe to print', (t) => {
  for (const host of ['\x1b[31m', 'a\nb', '\u202e', `${'a'.repeat(60)}.`.repeat(4), 'x'.repeat(5000)]) {
    const decision = decideHost(policy, { host, port: 443 });
    if (decision.kind === 'allow') return t.fail(host);
    t.notRegex(decision.reason + decision.hint, /[\x00-\x1f\x7f\u202e]/);
    t.true(decision.reason.length < 500);
  }
  return undefined;
});

test('matchesPattern: a wildcard needs a label in front', (t) => {
  t.true(matchesPattern('*.a.b', 'x.a.b'));
  t.true(matchesPattern('*.a.b', 'y.x.a.b'));
  t.false(matchesPattern('*.a.b', 'a.b'));
  t.false(matchesPattern('*.a.b', '.a.b'));
  t.false(matchesPattern('*.a.b', 'xa.b'));
  t.true(matchesPattern('a.b', 'a.b'));
});

test('resolveStatic: answers for names of the policy in any form, and for nothing else', (t) => {
  t.deepEqual(resolveStatic(policy, 'demo.example'), ['127.0.0.1', '::1']);
  t.deepEqual(resolveStatic(policy, 'DEMO.example.'), ['127.0.0.1', '::1']);
  t.deepEqual(resolveStatic(policy, 'Bücher.example'), ['192.0.2.1']);
  for (const host of ['x.demo.example', 'pypi.org', '127.0.0.1', '[::1]', '', '__proto__', 'constructor']) {
    t.is(resolveStatic(policy, host), undefined);
  }
});

test('resolveStatic: a name that objects have is a name like any other', (t) => {
  const odd = parsePolicy('version: 1\nrules: []\nresolve: {__proto__: 192.0.2.1}', { file: 'p' });
  t.deepEqual(resolveStatic(odd, '__proto__'), ['192.0.2.1']);
});
