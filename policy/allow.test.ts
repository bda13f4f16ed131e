import test from 'ava';
import { TapwardenError } from '../base/errors.ts';
import { addRules, parseAllow } from './allow.ts';
import { denyAll, type PortRange } from './model.ts';

const good = test.macro({
  exec: (
    t,
    text: string,
    want: { hosts?: readonly string[]; addresses?: readonly string[]; ports: readonly PortRange[] },
  ) => t.deepEqual(parseAllow(text, 3), { kind: 'proxy', name: 'allow-3', hosts: [], addresses: [], ...want }),
  title: (_, text: string) => `parseAllow: reads ${text}`,
});
test(good, 'pypi.org:443', { hosts: ['pypi.org'], ports: [[443, 443]] });
test(good, 'PyPI.org.:8000-8010', { hosts: ['pypi.org'], ports: [[8000, 8010]] });
test(good, '*.pythonhosted.org:443', { hosts: ['*.pythonhosted.org'], ports: [[443, 443]] });
test(good, 'bücher.example:1', { hosts: ['xn--bcher-kva.example'], ports: [[1, 1]] });
test(good, '10.1.2.3:443', { addresses: ['10.1.2.3/32'], ports: [[443, 443]] });
test(good, '10.1.2.0/24:443', { addresses: ['10.1.2.0/24'], ports: [[443, 443]] });
test(good, '[2001:DB8::1]:65535', { addresses: ['2001:db8::1/128'], ports: [[65535, 65535]] });
test(good, '[2001:db8::/32]:1', { addresses: ['2001:db8::/32'], ports: [[1, 1]] });

const badText = test.macro({
  exec: (t, text: string, message: RegExp) => {
    const error = t.throws(() => parseAllow(text, 1), { instanceOf: TapwardenError, code: 'USAGE_INVALID' });
    t.regex(error?.message ?? '', message);
    t.notRegex(error?.message ?? '', /[\0-\x09\x0b-\x1f]/);
  },
  title: (_, text: string) => `parseAllow: refuses ${JSON.stringify(text)}`,
});
test(badText, '', /it is not of the form HOST:PORT\nExample: --allow pypi\.org:443\./);
test(badText, 'pypi.org', /not of the form HOST:PORT/);
test(badText, ':443', /not of the form HOST:PORT/);
test(badText, '[::1]', /not of the form HOST:PORT/);
test(badText, 'https://pypi.org', /not of the form HOST:PORT/);
test(badText, 'https://pypi.org:443', /not of the form HOST:PORT/);
test(badText, 'pypi.org:', /is not a port/);
test(badText, 'pypi.org:0', /0 is not a port/);
test(badText, 'pypi.org:https', /https is not a port/);
test(badText, 'pypi.org:443/x', /443\/x is not a port/);
test(badText, 'pypi.org:9-1', /ends before it begins/);
test(badText, '*:443', /would allow every name/);
test(badText, 'a.*:443', /wildcard/);
test(badText, '::1:443', /an IPv6 address needs brackets/);
test(badText, '[10.0.0.1]:443', /only an IPv6 address stands in brackets/);
test(badText, '[::ffff:10.0.0.1]:443', /IPv4-mapped/);
test(badText, '[fe80::1%eth0]:443', /zone id/);
test(badText, '10.0.0.1/8:443', /host bits set\nWrite 10\.0\.0\.0\/8/);
test(badText, '127.1:443', /is not an IP address/);
test(badText, '0x7f.1:443', /ends in a number/);
test(badText, 'a\x1b[31m:443', /a\\x1b\[31m/);
test(badText, 'a\nb:443', /a\\nb/);
test(badText, 'u@a:443', /user information/);

test('addRules: puts rules behind those of the policy', (t) => {
  const one = addRules(denyAll, [parseAllow('a.example:1', 1)]);
  const two = addRules(one, [parseAllow('b.example:1', 2), parseAllow('c.example:1', 3)]);
  t.deepEqual(
    two.rules.map(({ name }) => name),
    ['allow-1', 'allow-2', 'allow-3'],
  );
  t.deepEqual(denyAll.rules, [], 'the policy that is passed in stays as it is');
});

test('addRules: refuses a name that is taken', (t) => {
  const one = addRules(denyAll, [parseAllow('a.example:1', 1)]);
  const rule = parseAllow('b.example:1', 1);
  t.throws(() => addRules(one, [rule]), { instanceOf: TapwardenError, code: 'USAGE_INVALID' });
  t.throws(() => addRules(denyAll, [rule, rule]), { instanceOf: TapwardenError, code: 'USAGE_INVALID' });
});
