import { withDirectHost } from '../../e2e/support/direct-host.ts';
import { kernelTest } from '../../e2e/support/kernel-tier.ts';
import { comesTrue } from '../../e2e/support/until.ts';
import { worldNet } from '../../e2e/support/world.ts';

const { host4, host6, world4, world6, udpPort, link } = worldNet;
const policyOf = (...addresses: readonly string[]): string =>
  JSON.stringify({
    version: 1,
    rules: [{ name: 'echo', via: 'direct', protocol: 'udp', addresses, ports: [udpPort] }],
  });
const ip4 = policyOf(world4);
const ip46 = policyOf(world4, world6);

kernelTest('openUplink: packets leave with an address of the host, and closeUplink leaves nothing', async (t) => {
  await withDirectHost(async (host) => {
    const before = await host.state();
    const { index, error, warnings } = await host.perform({ kind: 'open', id: 'a', policy: ip46 });
    t.is(error, undefined);
    t.deepEqual(warnings, []);
    await host.send('tw-a', world4, udpPort);
    await host.send('tw-a', world6, udpPort);
    t.deepEqual(await host.world.hears(2), [`udp4 ${udpPort} ${host4}`, `udp6 ${udpPort} ${host6}`]);
    t.is(await host.counter('forwarded'), 2);
    t.true(await comesTrue(async () => (await host.counter('replies')) === 2));

    const during = await host.state();
    t.regex(during, /ip_forward:0$/m, 'the host is no router');
    t.regex(during, new RegExp(`ipv4/conf/${link}/forwarding:1$`, 'm'));
    t.regex(during, new RegExp(`ipv4/conf/twv${index}/forwarding:1$`, 'm'));
    await host.perform({ kind: 'close', id: 'a', index });
    t.is(await host.state(), before);
  });
});

kernelTest('openUplink: without a rule of IPv6 the uplink has none, and IPv6 forwarding stays as it was', async (t) => {
  await withDirectHost(async (host) => {
    const ip6 = async () => (await host.state()).split('\n').filter((line) => line.includes('/ipv6/conf/'));
    const before = await ip6();
    const { index } = await host.perform({ kind: 'open', id: 'a', policy: ip4 });
    t.deepEqual(
      (await ip6()).filter((line) => !line.includes(`/twv${index}/`)),
      before,
    );
    t.is((await host.run('ip', '-6', 'address', 'show', `twv${index}`)).stdout, '');
  });
});

kernelTest('hostRuleset: slots reach neither the host nor each other, and nobody reaches slots', async (t) => {
  await withDirectHost(async (host) => {
    await host.perform({ kind: 'open', id: 'a', policy: ip46 });
    await host.perform({ kind: 'open', id: 'b', policy: ip46 });
    const addresses = (await host.run('ip', '-br', 'address')).stdout;
    t.regex(addresses, /100\.64\.0\.0\/31 .*fd74:7761:7265::2\/127/);
    t.regex(addresses, /100\.64\.0\.2\/31 .*fd74:7761:7265::4\/127/);

    for (const address of [host4, '100.64.0.0', '100.64.0.2', host6, 'fd74:7761:7265::2', 'fd74:7761:7265::4']) {
      const dropped = await host.counter('denied_host');
      await host.send('tw-a', address, 22);
      t.is((await host.counter('denied_host')) - dropped, 1, `a slot to ${address}`);
    }
    for (const address of ['100.64.0.3', 'fd74:7761:7265::5']) {
      const dropped = await host.counter('denied_slot_to_slot');
      await host.send('tw-a', address, 22);
      t.is((await host.counter('denied_slot_to_slot')) - dropped, 1, `a slot to ${address}`);
    }
    await host.run('ip', '-n', 'world', 'route', 'add', '100.64.0.0/10', 'via', host4);
    await host.run('ip', '-n', 'world', 'route', 'add', 'fd74:7761:7265::/48', 'via', host6);
    for (const address of ['100.64.0.1', 'fd74:7761:7265::3']) {
      const dropped = await host.counter('denied_to_slot');
      await host.send('world', address, 22);
      t.is((await host.counter('denied_to_slot')) - dropped, 1, `the world to ${address}`);
    }
    t.is(await host.counter('forwarded'), 0);
    t.deepEqual(host.world.heard(), []);
  });
});

kernelTest('hostRuleset: a host that was no router is none for others while it is one for slots', async (t) => {
  await withDirectHost(async (host) => {
    await host.scratch.run(['ip', 'netns', 'add', 'other']);
    await host.scratch.run(['ip', '-batch', '-'], {
      input: `link add other0 type veth peer name eth0 netns other
address add 203.0.113.1/24 dev other0
address add 2001:db8:71::1/64 dev other0 nodad
link set other0 up
`,
    });
    await host.scratch.run(['ip', '-n', 'other', '-batch', '-'], {
      input: `address add 203.0.113.2/24 dev eth0
address add 2001:db8:71::2/64 dev eth0 nodad
link set eth0 up
route add default via 203.0.113.1
`,
    });
    await host.run('ip', '-n', 'world', 'route', 'add', '203.0.113.0/24', 'via', host4);
    await host.run('ip', '-n', 'world', 'route', 'add', '2001:db8:71::/64', 'via', host6);
    await host.perform({ kind: 'open', id: 'a', policy: ip46 });
    await host.send('world', '203.0.113.2', 22);
    await host.send('world', '2001:db8:71::2', 22);
    t.is(await host.counter('denied_routed'), 2);
    await host.send('other', world4, udpPort);
    t.deepEqual(host.world.heard(), [], 'interfaces that no direct rule needs stay closed');
  });
});

kernelTest('closeUplink: the others go on, and the host is put back with the last one', async (t) => {
  await withDirectHost(async (host) => {
    const before = await host.state();
    const a = await host.perform({ kind: 'open', id: 'a', policy: ip46 });
    const b = await host.perform({ kind: 'open', id: 'b', policy: ip4 });
    await host.perform({ kind: 'close', id: 'a', index: a.index });
    await host.send('tw-b', world4, udpPort);
    t.deepEqual(await host.world.hears(1), [`udp4 ${udpPort} ${host4}`]);
    t.false((await host.state()).includes(`twv${a.index}`), 'its link and its element are gone');
    await host.perform({ kind: 'open', id: 'c', policy: ip4 });
    t.regex((await host.run('ip', '-br', 'address')).stdout, /100\.64\.0\.0\/31/, 'its addresses are given out again');
    await host.perform({ kind: 'gc' });
    t.is(await host.state(), before, 'whoever made them has ended, so gc takes both');
    await host.perform({ kind: 'close', id: 'b', index: b.index });
    t.is(await host.state(), before, 'closing once more changes nothing');
  });
});

kernelTest('openUplink: a host that is a router stays one, with all its settings', async (t) => {
  await withDirectHost(async (host) => {
    await host.run('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
    await host.run('sysctl', '-qw', 'net.ipv4.conf.all.accept_redirects=0');
    const before = await host.state();
    const { index } = await host.perform({ kind: 'open', id: 'a', policy: ip46 });
    await host.send('tw-a', world4, udpPort);
    await host.send('tw-a', world6, udpPort);
    t.is((await host.world.hears(2)).length, 2);
    t.notRegex(await host.state(), /elements = \{ ipv[46] \. /, 'it routes for others as before');
    await host.perform({ kind: 'close', id: 'a', index });
    t.is(await host.state(), before);
  });
});

kernelTest(
  'openUplink: on a kernel that forwards IPv6 for all interfaces or for none, the host routes for slots alone',
  async (t) => {
    await withDirectHost(async (host) => {
      await host.scratch.run(['ip', '-batch', '-'], {
        input:
          'link add other0 type veth peer name other1\naddress add 2001:db8:71::1/64 dev other0 nodad\nlink set other0 up\nlink set other1 up\n',
      });
      await host.run('sysctl', '-qw', 'net.ipv6.conf.other0.forwarding=1');
      await host.run('ip', '-n', 'world', 'route', 'add', '2001:db8:71::/64', 'via', host6);
      const before = await host.state();
      const { index, error } = await host.perform({ kind: 'open', id: 'a', policy: ip46, ip6ByLink: false });
      t.is(error, undefined);
      t.regex(await host.state(), /ipv6\/conf\/all\/forwarding:1$/m);
      await host.send('tw-a', world6, udpPort);
      await host.send('tw-a', world4, udpPort);
      t.deepEqual(await host.world.hears(2), [`udp4 ${udpPort} ${host4}`, `udp6 ${udpPort} ${host6}`]);
      await host.send('world', '2001:db8:71::2', 22);
      t.is(await host.counter('denied_routed'), 1);
      await host.perform({ kind: 'close', id: 'a', index });
      t.is(await host.state(), before, 'every interface is put back');
    });
  },
);

kernelTest('openUplink: a host that lives on router advertisements keeps its routes', async (t) => {
  await withDirectHost(async (host) => {
    await host.run('ip', '-6', 'route', 'add', 'default', 'via', world6, 'dev', link, 'proto', 'ra');
    await host.run('sysctl', '-qw', `net.ipv6.conf.${link}.accept_ra=1`);
    const before = await host.state();
    const { error } = await host.perform({ kind: 'open', id: 'a', policy: ip46, ip6ByLink: false });
    t.is(error?.code, 'FORWARDING_UNSAFE');
    t.is(await host.state(), before);
    await host.run('sysctl', '-qw', `net.ipv6.conf.${link}.accept_ra=2`);
    t.is((await host.perform({ kind: 'open', id: 'b', policy: ip46, ip6ByLink: false })).error, undefined);
  });
});

kernelTest('closeUplink: a host that somebody made a router meanwhile stays one', async (t) => {
  await withDirectHost(async (host) => {
    const { index } = await host.perform({ kind: 'open', id: 'a', policy: ip4 });
    await host.run('sysctl', '-qw', 'net.ipv4.ip_forward=1');
    await host.perform({ kind: 'close', id: 'a', index });
    t.regex(await host.state(), new RegExp(`ipv4/conf/${link}/forwarding:1$`, 'm'));
  });
});

kernelTest('openUplink: what somebody flushed is whole again with the next sandbox', async (t) => {
  await withDirectHost(async (host) => {
    const before = await host.state();
    const a = await host.perform({ kind: 'open', id: 'a', policy: ip46 });
    const whole = (await host.run('nft', 'list', 'ruleset')).stdout;
    await host.run('nft', 'flush', 'ruleset');
    const b = await host.perform({ kind: 'open', id: 'b', policy: ip46 });
    await host.send('tw-a', world4, udpPort);
    t.deepEqual(await host.world.hears(1), [`udp4 ${udpPort} ${host4}`]);
    await host.run('nft', 'flush', 'ruleset');
    await host.perform({ kind: 'close', id: 'b', index: b.index });
    await host.perform({ kind: 'close', id: 'a', index: a.index });
    t.is(await host.state(), before);
    t.true(whole.includes(`ipv6 . "${link}"`));
  });
});

kernelTest('openUplink: a failure at any step leaves nothing, and a kill at any step nothing after gc', async (t) => {
  t.timeout(180_000);
  await withDirectHost(async (host) => {
    const before = await host.state();
    const { commands } = await host.perform({ kind: 'open', id: 'count', policy: ip46 });
    await host.perform({ kind: 'gc' });
    t.is(await host.state(), before);
    t.true(commands >= 6, `${commands} commands`);
    for (let at = 0; at < commands; at += 1) {
      const id = `f${at}`;
      const { error } = await host.perform({ kind: 'open', id, policy: ip46, wrong: { how: 'fail', at } });
      t.not(error, undefined, `a failure at command ${at} is an error`);
      t.is(await host.state(), before, `a failure at command ${at}`);
      await t.throwsAsync(host.perform({ kind: 'open', id, policy: ip46, wrong: { how: 'die', at } }));
      await host.perform({ kind: 'gc' });
      t.is(await host.state(), before, `a kill at command ${at}`);
    }
  });
});

kernelTest(
  'openUplink: addresses that the host uses are passed over, and a pool that it uses is an error',
  async (t) => {
    await withDirectHost(async (host) => {
      await host.run('ip', 'route', 'add', '100.64.0.0/30', 'dev', link);
      await host.run('ip', 'address', 'add', '100.64.0.5/32', 'dev', 'lo');
      const { index } = await host.perform({ kind: 'open', id: 'a', policy: ip4 });
      t.regex((await host.run('ip', '-br', 'address', 'show', `twv${index}`)).stdout, /100\.64\.0\.6\/31/);
      await host.perform({ kind: 'gc' });

      const before = await host.state();
      await host.run('ip', 'route', 'add', '100.64.0.0/10', 'dev', link);
      const taken = await host.perform({ kind: 'open', id: 'b', policy: ip4 });
      t.is(taken.error?.code, 'POOL_EXHAUSTED');
      t.regex(taken.error?.message ?? '', /the host uses .*100\.64\.0\.0\/10 \(world0\)/);
      t.is(await host.state(), before);
      const other = await host.perform({ kind: 'open', id: 'c', policy: ip4 }, { TAPWARDEN_POOL4: '10.99.0.0/24' });
      t.is(other.error, undefined);
      await host.send('tw-c', world4, udpPort);
      t.deepEqual(await host.world.hears(1), [`udp4 ${udpPort} ${host4}`]);
    });
  },
);

kernelTest('openUplink: a routing rule that sends replies elsewhere is an error', async (t) => {
  await withDirectHost(async (host) => {
    await host.run('ip', 'route', 'add', 'default', 'dev', link, 'table', '52');
    await host.run('ip', 'rule', 'add', 'to', '100.64.0.0/10', 'lookup', '52', 'priority', '5270');
    const before = await host.state();
    const { error } = await host.perform({ kind: 'open', id: 'a', policy: ip4 });
    t.is(error?.code, 'ROUTE_CONFLICT');
    t.regex(error?.message ?? '', /sends packets for 100\.64\.0\.1, the end of a slot, to world0 and not to twv\d+/);
    t.is(await host.state(), before);
  });
});

kernelTest('openUplink: a destination without a route is a warning', async (t) => {
  await withDirectHost(async (host) => {
    const { error, warnings } = await host.perform({ kind: 'open', id: 'a', policy: policyOf(world4, '192.0.2.77') });
    t.is(error, undefined);
    t.deepEqual(warnings, ['the host has no route to 192.0.2.77/32, which the direct rule echo allows']);
  });
});
