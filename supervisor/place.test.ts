import test from 'ava';
import type { JailPlan } from '../init/jail-plan.ts';
import { placeOf } from './place.ts';

const plan: JailPlan = {
  channel: '/run/tapwarden/a/sockets/channel',
  uid: 1_900_000_000,
  cgroup: '/tapwarden-a',
  memoryMiB: 512,
  image: null,
  uplink: 'up0',
  logging: true,
  hostNetwork: '/proc/812/ns/net',
  hidden: ['/var/lib/tapwarden'],
};

test('placeOf() without a plan is a guest of its own', (t) => {
  t.deepEqual(placeOf(undefined), {
    jail: undefined,
    ip: '/usr/sbin/ip',
    bwrap: '/usr/bin/bwrap',
    uplink: 'eth0',
    cgroup: '/sys/fs/cgroup/workload',
    hostNetwork: undefined,
    workload: { uid: 1000, gid: 1000 },
  });
});

test('placeOf() with a plan is a jail, in which the workload is another user', (t) => {
  t.like(placeOf(JSON.stringify(plan)), {
    jail: plan,
    uplink: 'up0',
    cgroup: '/sys/fs/cgroup/tapwarden-a/workload',
    hostNetwork: '/proc/812/ns/net',
    workload: { uid: 1_900_000_000, gid: 1_900_000_000 },
  });
});

for (const [what, value] of Object.entries({
  'no JSON': '{',
  'a key too many': JSON.stringify({ ...plan, more: 1 }),
  'root as the workload': JSON.stringify({ ...plan, uid: 0 }),
  'a path that is relative': JSON.stringify({ ...plan, channel: 'channel' }),
  'a cgroup with a newline': JSON.stringify({ ...plan, cgroup: '/a\nb' }),
})) {
  test(`placeOf() refuses ${what}`, (t) => {
    t.throws(() => placeOf(value), { code: 'BUG' });
  });
}
