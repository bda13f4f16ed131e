import test from 'ava';
import { directMatches, hasIp6 } from './direct.ts';

test('directMatches() matches destination, protocol and port, and names the rule', (t) => {
  t.deepEqual(
    directMatches([
      { rule: 'ntp', protocol: 17, cidr: '192.0.2.10/32', ports: [123, 123] },
      { rule: 'ntp', protocol: 6, cidr: '2001:db8::/64', ports: [1, 65_535] },
      { rule: 'ping', protocol: 1, cidr: '0.0.0.0/0', ports: null },
    ]),
    [
      { match: 'ip daddr 192.0.2.10/32 meta l4proto 17 th dport 123', comment: 'policy rule ntp' },
      { match: 'ip6 daddr 2001:db8::/64 meta l4proto 6 th dport 1-65535', comment: 'policy rule ntp' },
      { match: 'ip daddr 0.0.0.0/0 meta l4proto 1', comment: 'policy rule ping' },
    ],
  );
  t.deepEqual(directMatches([]), []);
});

test('hasIp6() looks at every destination', (t) => {
  const ip4 = { rule: 'a', protocol: 17, cidr: '192.0.2.10/32', ports: null } as const;
  t.false(hasIp6([]));
  t.false(hasIp6([ip4]));
  t.true(hasIp6([ip4, { ...ip4, cidr: '::/0' }]));
});
