import test from 'ava';
import { explain } from './explain.ts';
import { parsePolicy } from './parse.ts';

const policy = parsePolicy(
  `version: 1
resolve: {demo.example: [127.0.0.1], good.example: [127.0.0.1, 192.0.2.1]}
rules:
  - {name: packages, hosts: [pypi.org, "*.pythonhosted.org", demo.example, good.example], ports: [443]}
  - {name: wide, addresses: [0.0.0.0/0, "2001:db8::/32"], ports: [443]}
`,
  { file: 'p' },
);

const explained = test.macro({
  exec: (t, host: string, port: number, want: string) => {
    const text = explain(policy, { host, port });
    t.is(text, want);
    t.true(text.split('\n').length <= 2);
  },
  title: (_, host: string, port: number) => `explain: ${JSON.stringify(host)} on port ${port}`,
});
test(explained, 'PyPI.org', 443, "allow pypi.org:443: rule 'packages'");
test(explained, '8.8.8.8', 443, "allow 8.8.8.8:443: rule 'wide'");
test(explained, '[2001:db8:0::1]', 443, "allow [2001:db8::1]:443: rule 'wide'");
test(
  explained,
  'good.example',
  443,
  "allow good.example:443: rule 'packages', answered by the policy: 127.0.0.1, 192.0.2.1",
);
test(
  explained,
  'demo.example',
  443,
  `deny demo.example:443: rule 'packages' allows the request, but ADDRESS_FORBIDDEN: 127.0.0.1 is a loopback address
If that is meant, add a rule with 'addresses: ["127.0.0.1"]' and 'ports: [443]'.`,
);
test(
  explained,
  '10.1.2.3',
  443,
  `deny 10.1.2.3:443: rule 'wide' allows the request, but ADDRESS_FORBIDDEN: 10.1.2.3 is a private address (RFC 1918)
If that is meant, add a rule with 'addresses: ["10.1.2.3"]' and 'ports: [443]'.`,
);
test(
  explained,
  'pypi.org',
  80,
  `deny pypi.org:80: PORT_NOT_ALLOWED: pypi.org is not allowed on port 80; rule 'packages' allows 443
Use an allowed port, or add 80 to 'ports' of the rule 'packages'.`,
);
test(
  explained,
  'example.org',
  443,
  `deny example.org:443: HOST_NOT_ALLOWED: No rule allows the host example.org
Add a rule with 'hosts: [example.org]' and 'ports: [443]'.`,
);
test(
  explained,
  'a\nb\x1b',
  443,
  `deny a\\nb\\x1b:443: HOST_MALFORMED: a\\nb\\x1b has a character that no name has
Ask for a DNS name, or for an IP address in its usual form.`,
);
