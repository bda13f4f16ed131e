import test from 'ava';
import { choosePair, defaultPool } from './pool.ts';
import { planUplink } from './uplink-plan.ts';

const v4 = choosePair(defaultPool.cidr4, []);
const v6 = choosePair(defaultPool.cidr6, []);

test('planUplink: an uplink of both families', (t) => {
  t.deepEqual(planUplink('tw-a', 'twv7', { v4, v6 }), {
    make: ['link add twv7 address 02:74:77:02:00:01 type veth peer name up0 address 02:74:77:02:00:02 netns tw-a'],
    host: [
      'link set twv7 arp off addrgenmode none',
      'address add 100.64.0.0/31 dev twv7',
      'address add fd74:7761:7265::2/127 dev twv7 nodad',
      'link set twv7 up',
      'neighbor add 100.64.0.1 lladdr 02:74:77:02:00:02 nud permanent dev twv7',
      'neighbor add fd74:7761:7265::3 lladdr 02:74:77:02:00:02 nud permanent dev twv7',
    ],
    slot: [
      'link set up0 arp off addrgenmode none',
      'address add 100.64.0.1/31 dev up0',
      'address add fd74:7761:7265::3/127 dev up0 nodad',
      'link set up0 up',
      'neighbor add 100.64.0.0 lladdr 02:74:77:02:00:01 nud permanent dev up0',
      'neighbor add fd74:7761:7265::2 lladdr 02:74:77:02:00:01 nud permanent dev up0',
      'route add default via 100.64.0.0 dev up0',
      'route add ::/0 via fd74:7761:7265::2 dev up0',
    ],
  });
});

test('planUplink: without direct rules of IPv6 there is no address of IPv6', (t) => {
  const { make, host, slot } = planUplink('tw-a', 'twv7', { v4, v6: undefined });
  t.false([...make, ...host, ...slot].join('\n').includes('fd74:'));
});
