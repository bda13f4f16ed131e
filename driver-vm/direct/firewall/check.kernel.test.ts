import { readFileSync } from 'node:fs';
import { type DirectHost, withDirectHost } from '../../../e2e/support/direct-host.ts';
import { matchesGolden } from '../../../e2e/support/golden.ts';
import { kernelTest } from '../../../e2e/support/kernel-tier.ts';
import { comesTrue } from '../../../e2e/support/until.ts';
import { worldNet } from '../../../e2e/support/world.ts';
import type { NftObject } from '../../../nft/index.ts';
import { defaultPool } from '../pool.ts';
import { findObstacles } from './check.ts';
import { readListing } from './listing.ts';
import { chainsOf, expectedFates, rulesetFile } from './test-rulesets.ts';

const { world4, world6, udpPort } = worldNet;
const policy = JSON.stringify({
  version: 1,
  rules: [{ name: 'echo', via: 'direct', protocol: 'udp', addresses: [world4, world6], ports: [udpPort] }],
});

const question = {
  link: 'twv7',
  pool: defaultPool,
  egress: [world4, world6].map((address) => ({
    destination: {
      rule: 'echo',
      protocol: 17,
      cidr: `${address}/${address.includes(':') ? 128 : 32}`,
      ports: [udpPort, udpPort] as const,
    },
    interfaces: ['world0'],
  })),
};

kernelTest('evaluate: says of every ruleset of testdata what the kernel does', async (t) => {
  t.timeout(240_000);
  await withDirectHost(async (host) => {
    // Other versions print the same rules in other words, which are read all the same.
    const isRecorder = (await host.run('nft', '--version')).stdout.startsWith('nftables v1.0.6 ');
    if (!isRecorder) t.log('the recorded listings are of nft 1.0.6, and are not compared');
    const { index } = await host.perform({ kind: 'open', id: 'a', policy });
    const replies = async (): Promise<number> => {
      const { stdout } = await host.run('ip', '-s', '-j', 'link', 'show', `twv${index}`);
      return (JSON.parse(stdout) as readonly { stats64: { tx: { packets: number } } }[])[0]?.stats64.tx.packets ?? 0;
    };
    for (const [name, expected] of Object.entries(expectedFates)) {
      await host.nft(readFileSync(rulesetFile(name, 'nft'), 'utf8'));
      const listing = await listOthers(host);
      if (isRecorder) {
        const lines = listing.map((object) => JSON.stringify(object));
        matchesGolden(t, rulesetFile(name, 'json'), `[\n${lines.join(',\n')}\n]\n`);
      }
      const { obstacles } = findObstacles(readListing(listing, []), question);
      t.deepEqual(chainsOf(obstacles), expected.chains, name);
      for (const [address, original, reply] of [
        [world4, expected.original4, expected.reply4],
        [world6, expected.original6, expected.reply6],
      ] as const) {
        const [heardBefore, repliesBefore] = [host.world.heard().length, await replies()];
        await host.send('tw-a', address, udpPort);
        const arrived = await comesTrue(() => host.world.heard().length > heardBefore);
        // A rate is not used up by one packet.
        t.is(arrived, original !== 'dropped', `${name}: to ${address}`);
        if (!arrived) continue;
        const answered = await comesTrue(async () => (await replies()) > repliesBefore);
        t.is(answered, reply === 'passes', `${name}: from ${address}`);
      }
      for (const { table } of listing) {
        if (table !== undefined) await host.run('nft', 'delete', 'table', `${table['family']}`, `${table['name']}`);
      }
    }
  });
});

kernelTest('openUplink: a table that drops direct traffic is an error, and nothing is made', async (t) => {
  await withDirectHost(async (host) => {
    for (const name of ['docker', 'firewalld', 'limited']) {
      const expected = expectedFates[name];
      await host.nft(readFileSync(rulesetFile(name, 'nft'), 'utf8'));
      const before = await host.state();
      const { error, warnings } = await host.perform({ kind: 'open', id: 'a', policy });
      if (expected?.remedy === undefined) {
        t.is(error, undefined);
        t.regex(
          warnings.join('\n'),
          /^another table of the host may drop direct traffic: table inet guard, chain forward/,
        );
        return;
      }
      t.is(error?.code, 'DIRECT_BLOCKED');
      t.true(error?.message.includes(expected.remedy), error?.message);
      t.is(await host.state(), before);
      await host.run('nft', 'flush', 'ruleset');
    }
  });
});

/** What nft lists, without our own table and without what packets change. */
async function listOthers(host: DirectHost): Promise<readonly NftObject[]> {
  const { stdout } = await host.run('nft', '-j', 'list', 'ruleset');
  const { nftables } = JSON.parse(stdout) as { nftables: readonly NftObject[] };
  return nftables.filter((object) => {
    const attributes = Object.values(object)[0];
    return (
      object['metainfo'] === undefined && ![attributes?.['table'], attributes?.['name']].includes('tapwarden_host')
    );
  });
}
