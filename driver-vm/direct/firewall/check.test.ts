import test from 'ava';
import { isTapwardenError, type Run } from '../../../base/index.ts';
import type { DirectDestination } from '../../../nft/index.ts';
import { defaultPool } from '../pool.ts';
import { checkHostFirewall, findObstacles } from './check.ts';
import { readListing } from './listing.ts';
import { chainsOf, expectedFates, type Fate, recordedListing } from './test-rulesets.ts';

const udp = (cidr: string): DirectDestination => ({ rule: 'echo', protocol: 17, cidr, ports: [7000, 7000] });
const question = (...destinations: readonly DirectDestination[]) => ({
  link: 'twv7',
  pool: defaultPool,
  egress: destinations.map((destination) => ({ destination, interfaces: ['world0'] })),
});

function fatesOf(name: string): Readonly<Record<string, Fate>> {
  const listing = readListing(recordedListing(name), []);
  const fates: Record<string, Fate> = {};
  for (const [family, cidr] of [
    ['4', '198.51.100.2/32'],
    ['6', '2001:db8:51::2/128'],
  ] as const) {
    const { obstacles } = findObstacles(listing, question(udp(cidr)));
    for (const direction of ['original', 'reply'] as const) {
      const own = obstacles.filter(({ directions }) => directions.includes(direction));
      fates[`${direction}${family}`] = own.some(({ certain }) => certain)
        ? 'dropped'
        : own.length > 0
          ? 'perhaps'
          : 'passes';
    }
  }
  return fates;
}

for (const [name, expected] of Object.entries(expectedFates)) {
  test(`findObstacles: ${name}`, (t) => {
    const { chains, remedy, ...fates } = expected;
    t.deepEqual(fatesOf(name), fates);
    const { obstacles } = findObstacles(
      readListing(recordedListing(name), []),
      question(udp('198.51.100.2/32'), udp('2001:db8:51::2/128')),
    );
    t.deepEqual(chainsOf(obstacles), chains);
    t.is(remedy === undefined, fates.original4 !== 'dropped' && fates.reply4 !== 'dropped', 'what drops has a remedy');
  });

  test(`checkHostFirewall: ${name}`, async (t) => {
    const stdout = JSON.stringify({ nftables: recordedListing(name) });
    const run: Run = async () => ({ status: 0, stdout, stderr: '' });
    const warnings: string[] = [];
    const onWarning = (line: string): void => void warnings.push(line);
    const check = checkHostFirewall(run, { ...question(udp('198.51.100.2/32')), onWarning });
    if (expected.remedy === undefined) {
      await check;
      t.is(warnings.length, expected.original4 === 'perhaps' ? 1 : 0, warnings.join('\n'));
      return;
    }
    const error = await t.throwsAsync(check);
    t.true(isTapwardenError(error, 'DIRECT_BLOCKED'));
    t.is(isTapwardenError(error) ? error.hint?.split('\n')[0] : '', expected.remedy);
    t.regex(error?.message ?? '', /chain \S+, by .*: (replies from )?udp 198\.51\.100\.2\/32 port 7000 \(rule echo\)/);
  });
}

test('findObstacles: a drop of a part of a range may drop, and of all of it drops', (t) => {
  const listing = readListing(recordedListing('late-drop'), []);
  const kindsOf = (cidr: string) => findObstacles(listing, question(udp(cidr))).obstacles.map(({ certain }) => certain);
  t.deepEqual(kindsOf('198.51.100.0/24'), [false]);
  t.deepEqual(kindsOf('198.51.100.8/31'), [true]);
  t.deepEqual(kindsOf('198.51.100.16/28'), []);
});

test('findObstacles: one obstacle names all rules that it is in the way of', (t) => {
  const listing = readListing(recordedListing('policy-drop'), []);
  const { obstacles, complete } = findObstacles(
    listing,
    question(udp('192.0.2.1/32'), { rule: 'ping', protocol: 1, cidr: '192.0.2.2/32', ports: null }),
  );
  t.true(complete);
  t.deepEqual(
    obstacles.map(({ rules, example }) => [rules, example]),
    [[['echo', 'ping'], 'udp 192.0.2.1/32 port 7000 (rule echo)']],
  );
});
