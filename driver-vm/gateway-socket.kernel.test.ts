import { readdir, readlink } from 'node:fs/promises';
import test from 'ava';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { link } from '../init/index.ts';
import { openGatewaySocket } from './gateway-socket.ts';
import type { Slot } from './slot.ts';

let scratch: ScratchNamespace;
let slot: Slot;
test.beforeEach(async () => {
  if (process.geteuid?.() !== 0) return;
  scratch = await makeScratchNamespace();
  slot = { namespace: 'scratch', path: `/proc/${scratch.pid}/ns/net`, enter: scratch.enter };
});
test.afterEach.always(async () => await scratch?.close());

/** The pids of processes in the slot. */
async function inhabitants(): Promise<readonly number[]> {
  const own = await readlink(`/proc/${scratch.pid}/ns/net`);
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const there = await Promise.all(
    pids.map(async (pid) => ((await readlink(`/proc/${pid}/ns/net`).catch(() => '')) === own ? [pid] : [])),
  );
  return there.flat();
}

kernelTest('openGatewaySocket() listens inside the slot, is answered here, and leaves no process there', async (t) => {
  await scratch.run(['ip', 'addr', 'add', `${link.hostIpv4}/30`, 'dev', 'lo']);
  const server = await openGatewaySocket(slot);
  server.on('connection', (socket) => socket.end(`hello ${socket.localAddress}:${socket.localPort}`));
  const script = `require('node:net').connect(${link.gatewayPort}, '${link.hostIpv4}').on('data', (data) => process.stdout.write(data));`;
  const { stdout } = await scratch.run([process.execPath, '-e', script]);
  t.is(stdout, `hello ${link.hostIpv4}:${link.gatewayPort}`);
  t.deepEqual(await inhabitants(), [scratch.pid]);
  await new Promise((resolve) => server.close(resolve));
});

kernelTest('openGatewaySocket() fails with PORT_IN_USE where the port is taken', async (t) => {
  await scratch.run(['ip', 'addr', 'add', `${link.hostIpv4}/30`, 'dev', 'lo']);
  const server = await openGatewaySocket(slot);
  await t.throwsAsync(openGatewaySocket(slot), { code: 'PORT_IN_USE', message: /10\.0\.128\.1:3128 in scratch/ });
  await new Promise((resolve) => server.close(resolve));
  const again = await openGatewaySocket(slot);
  again.close();
});

kernelTest('openGatewaySocket() fails with SLOT_FAILED where there is no such address, or no slot', async (t) => {
  await t.throwsAsync(openGatewaySocket(slot), { code: 'SLOT_FAILED', message: /EADDRNOTAVAIL/ });
  const none: Slot = { namespace: 'tw-none', path: '/run/netns/tw-none', enter: ['ip', 'netns', 'exec', 'tw-none'] };
  await t.throwsAsync(openGatewaySocket(none), { code: 'SLOT_FAILED', message: /in tw-none: .*ENOENT/ });
});
