import { setTimeout as sleep } from 'node:timers/promises';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { makeScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { inNetworkNamespace, loadOverrunGuard } from './index.ts';
import { openNetlinkSocket } from './netlink-socket.ts';

const route = 0;
const linkGroup = 1;

kernelTest('loadOverrunGuard() opens a socket that goes on when the kernel had no room in its buffer', async (t) => {
  const scratch = await makeScratchNamespace();
  const guard = await loadOverrunGuard();
  const errors: Error[] = [];
  let messages = 0;
  const socket = await inNetworkNamespace(`/proc/${scratch.pid}/ns/net`, () =>
    guard(() => openNetlinkSocket(route, { datagramBytes: 4096, bufferBytes: 4096 })),
  );
  try {
    socket.on('message', () => {
      messages += 1;
    });
    socket.on('error', (error) => errors.push(error));
    socket.addMembership(linkGroup);
    const change = 'for n in $(seq 100); do ip link set lo mtu $((60000 + n)); done';
    const changed = scratch.run(['sh', '-c', change]);
    // Nobody reads meanwhile, and a hundred changes are more than the buffer holds.
    const until = performance.now() + 1500;
    while (performance.now() < until);
    await changed;
    await sleep(50);
    const first = messages;
    t.true(first > 0 && first < 100, `${first} of 100 messages had room`);
    await scratch.run(['ip', 'link', 'set', 'lo', 'mtu', '61000']);
    await sleep(100);
    t.true(messages > first);
    t.deepEqual(errors, []);
  } finally {
    socket.close();
    await scratch.close();
  }
});
