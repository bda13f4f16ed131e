import { resolve } from 'node:path';
import type { Argv, RunResult } from '../../base/index.ts';
import type { Answer, Job } from '../../driver-vm/direct/test-host.ts';
import { networkOf } from './network-state.ts';
import { makeScratchNamespace, type ScratchNamespace } from './scratch-namespace.ts';
import { makeWorld, type World } from './world.ts';

/** A host of a test's own, no router, with the world one veth away. */
export type DirectHost = {
  readonly scratch: ScratchNamespace;
  readonly world: World;
  /** Does the driver's part there: see driver-vm/direct/test-host.ts. */
  readonly perform: (job: Job, env?: Readonly<Record<string, string>>) => Promise<Answer>;
  /** Runs a command there, statuses other than 0 included. */
  readonly run: (...argv: Argv) => Promise<RunResult>;
  /** Loads nft text there. */
  readonly nft: (text: string) => Promise<void>;
  /** {@link networkOf} it. */
  readonly state: () => Promise<string>;
  /** Sends a datagram out of a namespace of it, by default out of a slot, and waits a moment for the answer. */
  readonly send: (namespace: string, address: string, port: number) => Promise<void>;
  /** The value of a counter of the host's table. */
  readonly counter: (name: string) => Promise<number>;
};

const program = resolve('build/driver-vm/direct/test-host.js');

/** Runs `body` on a host of its own, which is gone afterwards. */
export async function withDirectHost(body: (host: DirectHost) => Promise<void>): Promise<void> {
  const scratch = await makeScratchNamespace();
  try {
    // A fresh namespace has the settings of the machine's.
    await scratch.run(['sysctl', '-qw', 'net.ipv4.ip_forward=0', 'net.ipv6.conf.all.forwarding=0']);
    // The lock file stays when its holders are gone, so it is there from the start.
    await scratch.run(['sh', '-c', 'mkdir /run/state && touch /run/state/lock']);
    const world = await makeWorld(scratch);
    try {
      await body(makeHost(scratch, world));
    } finally {
      await world.close();
    }
  } finally {
    await scratch.close();
  }
}

function makeHost(scratch: ScratchNamespace, world: World): DirectHost {
  const anyStatus = { okStatuses: Array.from({ length: 256 }, (_, status) => status) };
  return {
    scratch,
    world,
    perform: async (job, env = {}) => {
      const { stdout } = await scratch.run([process.execPath, program, JSON.stringify(job)], { env });
      return JSON.parse(stdout) as Answer;
    },
    run: async (...argv) => await scratch.run(argv, anyStatus),
    nft: async (text) =>
      void (await scratch.run(
        ['sh', '-c', 'cat >/run/rules.nft && nft -f /run/rules.nft; s=$?; rm /run/rules.nft; exit $s'],
        { input: text },
      )),
    state: async () => await networkOf(scratch.run),
    send: async (namespace, address, port) => {
      const script = `const socket = require('node:dgram').createSocket('udp${address.includes(':') ? '6' : '4'}');
        socket.on('error', () => process.exit());
        socket.send('?', ${port}, '${address}', () => setTimeout(() => process.exit(), 100));`;
      await scratch.run(['ip', 'netns', 'exec', namespace, process.execPath, '-e', script]);
    },
    counter: async (name) => {
      const { stdout } = await scratch.run(['nft', 'list', 'counter', 'inet', 'tapwarden_host', name]);
      return Number(/packets (\d+)/.exec(stdout)?.[1]);
    },
  };
}
