import test from 'ava';
import { decideHost, parseAllow, parsePolicy } from '../policy/index.ts';
import { type AdviceKind, adviceOf, adviceText, programAdvice } from './advice.ts';
import { allowDirect, allowRequest } from './suggestion.ts';

const cases = test.macro({
  exec(t, protocol: number, ip: string, port: number | undefined, kind: AdviceKind, words: RegExp) {
    const target = { protocol, ip, ...(port === undefined ? {} : { port }) };
    t.is(adviceOf(target).kind, kind);
    t.regex(adviceText(target), words);
    // One line of `tapwarden events` shows all of it.
    t.true(adviceText(target).length <= 300, adviceText(target));
  },
  title: (name) => `adviceOf: ${name}`,
});

const [tcp, udp] = [6, 17];
test('DNS over UDP', cases, udp, '192.0.2.53', 53, 'dns', /proxy resolves names/);
test('DNS over TCP', cases, tcp, '192.0.2.53', 53, 'dns', /Look-ups do not leave/);
test('DNS over TLS', cases, tcp, '2001:db8::53', 853, 'dns', /Look-ups do not leave/);
test('DNS at a private resolver', cases, udp, '10.0.0.2', 53, 'dns', /proxy resolves names/);
test('multicast DNS', cases, udp, '224.0.0.251', 5353, 'dns', /proxy resolves names/);
test('SCTP to port 53 is no DNS', cases, 132, '192.0.2.53', 53, 'direct', /SCTP cannot pass/);
test('HTTP past the proxy', cases, tcp, '203.0.113.1', 80, 'web', /HTTP_PROXY and HTTPS_PROXY/);
test('HTTPS past the proxy', cases, tcp, '203.0.113.1', 443, 'web', /did not use the proxy/);
test('HTTPS past the proxy over IPv6', cases, tcp, '2001:db8::1', 443, 'web', /IPv6 is no way around/);
test('HTTPS over IPv4 says nothing of IPv6', cases, tcp, '203.0.113.1', 443, 'web', /^(?!.*IPv6)/);
test('QUIC', cases, udp, '203.0.113.1', 443, 'quic', /HTTP\/3.*cannot pass the proxy/);
test('SSH', cases, tcp, '203.0.113.1', 22, 'ssh', /https:\/\/.*ProxyCommand.*direct rule/);
test('SSH to a private address', cases, tcp, '10.1.2.3', 22, 'ssh', /ProxyCommand/);
test('another TCP port over IPv6', cases, tcp, '2001:db8::1', 5432, 'tcp', /CONNECT.*IPv6 is no way/);
test('another TCP port', cases, tcp, '203.0.113.1', 5432, 'tcp', /CONNECT.*direct rule/);
test('a private address', cases, tcp, '10.1.2.3', 443, 'private', /List the address in a rule/);
test('a unique local address', cases, tcp, 'fd12::1', 443, 'private', /Private addresses are closed/);
test('UDP', cases, udp, '203.0.113.1', 4500, 'direct', /UDP cannot pass.*direct rule/);
test('NTP', cases, udp, '203.0.113.1', 123, 'ntp', /virtual clock/);
test('ping', cases, 1, '203.0.113.1', undefined, 'icmp', /Ping never goes out/);
test('ping over IPv6', cases, 58, '2001:db8::1', undefined, 'icmp', /Ping never goes out/);
test('the metadata service', cases, tcp, '169.254.169.254', 80, 'metadata', /hands out credentials/);
test('the metadata service over IPv6', cases, tcp, 'fd00:ec2::254', 80, 'metadata', /hands out credentials/);
test('ping of the metadata service', cases, 1, '169.254.169.254', undefined, 'metadata', /hands out credentials/);
test('link-local', cases, udp, '169.254.0.9', 5000, 'neighbours', /no neighbours/);
test('neighbour discovery', cases, 58, 'ff02::2', undefined, 'neighbours', /no neighbours/);
test('multicast of global scope', cases, udp, '232.1.1.1', 5000, 'neighbours', /no neighbours/);
test('multicast of global scope over IPv6', cases, udp, 'ff0e::1', 5000, 'neighbours', /no neighbours/);
test('broadcast', cases, udp, '255.255.255.255', 67, 'neighbours', /no neighbours/);
test('loopback', cases, tcp, '127.0.0.1', 80, 'loopback', /Use HTTPS_PROXY/);
test(
  'a protocol that no rule can name',
  cases,
  253,
  '192.0.2.1',
  undefined,
  'never',
  /protocol 253.*No rule can allow/,
);
test('GRE', cases, 47, '192.0.2.1', undefined, 'never', /GRE cannot pass/);

test('programAdvice: programs that do not follow the variables by themselves', (t) => {
  for (const name of ['node', 'nodejs', 'node22'])
    t.regex(programAdvice(name) ?? '', /NODE_USE_ENV_PROXY=1.*22\.21.*24\.5/);
  t.regex(programAdvice('java') ?? '', /https\.proxyHost/);
  for (const name of ['python3', 'python3.11', 'pypy3']) t.regex(programAdvice(name) ?? '', /trust_env/);
  for (const name of ['curl', 'nodemon', 'javac', 'constructor', '']) t.is(programAdvice(name), undefined);
});

const requests: readonly (readonly [host: string, port: number])[] = [
  ['pypi.org', 443],
  ['PyPI.org.', 443],
  ['xn--bcher-kva.example', 80],
  ['_dmarc.example', 1],
  ['true', 443],
  ['null', 443],
  ['1e3.example', 443],
  ['203.0.113.9', 8443],
  ['2001:db8::9', 443],
  ['10.1.2.3', 65_535],
  [`${'a'.repeat(60)}.${'b'.repeat(60)}.example`, 443],
];

for (const [host, port] of requests) {
  test(`allowRequest: the rule and the option for ${host.slice(0, 40)}:${port} allow it`, (t) => {
    const suggestion = allowRequest(host, [port]);
    const policy = parsePolicy(`version: 1\nrules:\n  ${suggestion?.rule}\n`, { file: 'policy.yaml' });
    t.is(decideHost(policy, { host, port }).kind, 'allow');
    t.is(decideHost(policy, { host, port: port === 1 ? 2 : port - 1 }).kind, 'deny');
    const rule = parseAllow(suggestion?.allow ?? '', 1);
    t.is(decideHost({ ...policy, rules: [rule] }, { host, port }).kind, 'allow');
  });
}

test('allowRequest: several ports and ranges are one rule, and no option', (t) => {
  const suggestion = allowRequest('a.example', [443, '8000-8002']);
  const policy = parsePolicy(`version: 1\nrules:\n  ${suggestion?.rule}\n`, { file: 'policy.yaml' });
  t.is(suggestion?.allow, undefined);
  for (const port of [443, 8000, 8001, 8002]) t.is(decideHost(policy, { host: 'a.example', port }).kind, 'allow');
  t.is(decideHost(policy, { host: 'a.example', port: 8003 }).kind, 'deny');
});

test('allowRequest: what a workload calls a host becomes nothing else', (t) => {
  const hostile = [
    ...[
      '',
      '.',
      'a b',
      'a"b',
      "a'b",
      'a;reboot',
      '$(id)',
      '*',
      '*.example',
      'a\nb',
      '-o',
      'a..b',
      'ü.example',
      '127.1',
    ],
    ...['0x7f.1', 'fe80::1%eth0', '::ffff:10.0.0.1', '0:0:0:0:0:ffff:a00:1', '[::1]', 'a/b', 'x'.repeat(300), '1'],
  ];
  for (const host of hostile) t.is(allowRequest(host, [443]), undefined, host);
});

const directs: readonly (readonly [protocol: number, ip: string, ports: readonly (number | string)[]])[] = [
  [6, '203.0.113.9', [22]],
  [17, '192.0.2.10', [123]],
  [17, '2001:db8::9', [443, '5000-5010']],
  [132, '192.0.2.10', [5000]],
  [136, '192.0.2.10', [5000]],
  [1, '192.0.2.10', []],
  [58, '2001:db8::9', []],
];

for (const [protocol, ip, ports] of directs) {
  test(`allowDirect: protocol ${protocol} to ${ip} ${ports.join(' ')} is a direct rule of the policy`, (t) => {
    const suggestion = allowDirect(protocol, ip, ports);
    const [rule] = parsePolicy(`version: 1\nrules:\n  ${suggestion?.rule}\n`, { file: 'policy.yaml' }).rules;
    t.like(rule, { kind: 'direct', addresses: [`${ip}/${ip.includes(':') ? 128 : 32}`] });
    t.is(rule?.ports.length, ports.length);
    t.is(suggestion?.allow, undefined);
  });
}

test('allowDirect: rules for different ports of one address have different names', (t) => {
  const rules = [22, 23].map((port) => allowDirect(6, '203.0.113.9', [port])?.rule);
  t.is(parsePolicy(`version: 1\nrules:\n  ${rules.join('\n  ')}\n`, { file: 'policy.yaml' }).rules.length, 2);
});

test('allowDirect: what no rule can name, or is no address, has none', (t) => {
  t.is(allowDirect(253, '192.0.2.1', []), undefined);
  t.is(allowDirect(47, '192.0.2.1', []), undefined);
  t.is(allowDirect(6, 'a"]', [1]), undefined);
  t.is(allowDirect(6, '192.0.2.1', []), undefined);
  t.is(allowDirect(1, '192.0.2.1', [8]), undefined);
});
