import { type Child, start } from '../../base/index.ts';
import type { ScratchNamespace } from './scratch-namespace.ts';
import { until } from './until.ts';

/** A machine of the Internet's, played by a network namespace, one veth away from a scratch namespace. */
export type World = {
  /** What its servers heard, one line a message: `'udp4 7000 198.51.100.1'`, with the sender's address. */
  readonly heard: () => readonly string[];
  /**
   * Waits until that many messages were heard and returns all, sorted: on a busy machine they come late, and those of two
   * servers in any order.
   */
  readonly hears: (count: number) => Promise<readonly string[]>;
  readonly close: () => Promise<void>;
};

/**
 * Addresses of TEST-NET-2 (RFC 5737) and of the documentation prefix (RFC 3849): the scratch namespace's end of the veth,
 * and the world's. The world has no other route, so an answer proves that it saw the host's address.
 */
export const worldNet = {
  link: 'world0',
  host4: '198.51.100.1',
  world4: '198.51.100.2',
  host6: '2001:db8:51::1',
  world6: '2001:db8:51::2',
  /** The ends know each other by fixed entries: a neighbour that is asked for right after its link came up may stay silent for a second. */
  hostMac: '02:74:77:03:00:01',
  worldMac: '02:74:77:03:00:02',
  udpPort: 7000,
  tcpPort: 7100,
} as const;

const namespace = 'world';

/** Servers that answer with the address from which they were asked, and say so. */
const servers = `
const { createSocket } = require('node:dgram');
const { createServer } = require('node:net');
for (const [family, address] of [['4', '${worldNet.world4}'], ['6', '${worldNet.world6}']]) {
  for (const port of [${worldNet.udpPort}, ${worldNet.udpPort + 1}]) {
    const socket = createSocket('udp' + family);
    socket.on('message', (_, from) => {
      console.log('udp' + family, port, from.address);
      socket.send(from.address, from.port, from.address);
    });
    socket.bind(port, address);
  }
  for (const port of [${worldNet.tcpPort}, ${worldNet.tcpPort + 1}]) {
    const server = createServer((socket) => {
      console.log('tcp' + family, port, socket.remoteAddress);
      socket.on('error', () => undefined);
      socket.end(socket.remoteAddress);
    });
    server.listen(port, address);
  }
}
setTimeout(() => console.log('ready'), 200);
`;

/** Makes the world and waits until its servers listen: UDP and TCP, each on the port named and on the next one. */
export async function makeWorld(scratch: ScratchNamespace): Promise<World> {
  const n = worldNet;
  await scratch.run(['ip', 'netns', 'add', namespace]);
  await scratch.run(['ip', '-batch', '-'], {
    input: [
      `link add ${n.link} address ${n.hostMac} type veth peer name eth0 address ${n.worldMac} netns ${namespace}`,
      `address add ${n.host4}/24 dev ${n.link}`,
      `address add ${n.host6}/64 dev ${n.link} nodad`,
      `link set ${n.link} up`,
      `neighbor add ${n.world4} lladdr ${n.worldMac} nud permanent dev ${n.link}`,
      `neighbor add ${n.world6} lladdr ${n.worldMac} nud permanent dev ${n.link}`,
      '',
    ].join('\n'),
  });
  await scratch.run(['ip', '-n', namespace, '-batch', '-'], {
    input: [
      'link set lo up',
      `address add ${n.world4}/24 dev eth0`,
      `address add ${n.world6}/64 dev eth0 nodad`,
      'link set eth0 up',
      `neighbor add ${n.host4} lladdr ${n.hostMac} nud permanent dev eth0`,
      `neighbor add ${n.host6} lladdr ${n.hostMac} nud permanent dev eth0`,
      '',
    ].join('\n'),
  });
  const { child, lines } = await startServers([...scratch.enter, 'ip', 'netns', 'exec', namespace]);
  const heard = (): readonly string[] => lines.filter((line) => line !== 'ready');
  return {
    heard,
    hears: async (count) => {
      await until(() => heard().length >= count);
      return heard().toSorted();
    },
    close: async () => {
      child.process.kill('SIGKILL');
      await child.ended;
      await scratch.run(['ip', 'netns', 'del', namespace]);
    },
  };
}

async function startServers(enter: readonly string[]): Promise<{ readonly child: Child; readonly lines: string[] }> {
  const [first = '', ...rest] = [...enter, process.execPath, '-e', servers];
  const child = start([first, ...rest], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  let text = '';
  await new Promise<void>((resolve, reject) => {
    child.process.stdout?.on('data', (piece: Buffer) => {
      text += piece.toString('utf8');
      const parts = text.split('\n');
      text = parts.pop() ?? '';
      lines.push(...parts);
      if (lines.includes('ready')) resolve();
    });
    void child.ended.then(() => reject(new Error('The servers of the world ended')));
  });
  return { child, lines };
}
