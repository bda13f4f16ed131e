import test from 'ava';
import type { Run } from '../base/index.ts';
import type { DeniedPacketFact } from '../channel/index.ts';
import { UnprintedPorts } from './unprinted-ports.ts';

const fact = (destination: string, sequence: number): DeniedPacketFact => ({
  kind: 'denied-packet',
  monotonic: '1.000000',
  sequence,
  interfaceOut: 'eth0',
  source: '10.200.0.2',
  destination,
  protocol: 132,
  sourcePort: null,
  destinationPort: null,
  icmp: null,
  length: 68,
  tcpFlags: null,
  uid: 1000,
  gid: 1000,
  mark: null,
  raw: '',
  origin: null,
});

/** What nft answers: for each look the packets by `address port`; the second set is empty. */
function scripted(looks: readonly Readonly<Record<string, number>>[]): Run {
  let look = -1;
  return async (argv) => {
    const first = argv.at(-1) === 'unprinted4';
    if (first) look += 1;
    const elements = Object.entries(first ? (looks[look] ?? {}) : {}).map(([place, packets]) => {
      const [address = '', port] = place.split(' ');
      return { elem: { val: { concat: [address, 'sctp', Number(port)] }, counter: { packets, bytes: 0 } } };
    });
    return { status: 0, stdout: JSON.stringify({ nftables: [{ set: { elem: elements } }] }), stderr: '' };
  };
}

/** Gives the batches to it, a look after each, and returns the ports told: `['192.0.2.1 5000', '192.0.2.1 null']`. */
async function portsOf(
  looks: readonly Readonly<Record<string, number>>[],
  batches: readonly (readonly string[])[],
): Promise<readonly string[]> {
  const told: string[] = [];
  const ports = new UnprintedPorts(scripted(looks), ({ destination, destinationPort }) => {
    told.push(`${destination} ${destinationPort}`);
  });
  for (const [at, batch] of batches.entries()) {
    for (const destination of batch) ports.take(fact(destination, at));
    await ports.settle();
  }
  return told;
}

const [a, b] = ['192.0.2.1', '192.0.2.2'];

test('UnprintedPorts: lines of a destination with one port get that port', async (t) => {
  t.deepEqual(await portsOf([{ [`${a} 5000`]: 2, [`${b} 6000`]: 1 }], [[a, b, a]]), [
    `${a} 5000`,
    `${a} 5000`,
    `${b} 6000`,
  ]);
});

test('UnprintedPorts: a packet that is in the set before its line was read still gets its port', async (t) => {
  const looks = [
    { [`${a} 5000`]: 1, [`${b} 6000`]: 1 },
    { [`${a} 5000`]: 2, [`${b} 6000`]: 1 },
  ];
  t.deepEqual(await portsOf(looks, [[a], [b]]), [`${a} 5000`, `${b} 6000`]);
  t.deepEqual(await portsOf([{ [`${a} 5000`]: 2 }, { [`${a} 5000`]: 2 }], [[a], [a]]), [`${a} 5000`, `${a} 5000`]);
});

test('UnprintedPorts: where two ports could be meant, or none is sure, the port stays unknown', async (t) => {
  t.deepEqual(await portsOf([{ [`${a} 5000`]: 1, [`${a} 5001`]: 1 }], [[a, a]]), [`${a} null`, `${a} null`]);
  t.deepEqual(await portsOf([{ [`${a} 5000`]: 1 }], [[a, a]]), [`${a} null`, `${a} null`], 'more lines than packets');
  t.deepEqual(await portsOf([{}], [[a]]), [`${a} null`], 'not in the set');
  const after = [
    { [`${a} 5000`]: 1, [`${a} 5001`]: 1 },
    { [`${a} 5000`]: 1, [`${a} 5001`]: 2 },
  ];
  t.deepEqual(await portsOf(after, [[a, a], [a]]), [`${a} null`, `${a} null`, `${a} 5001`], 'and is known again after');
});

test('UnprintedPorts: in a full set no port is sure', async (t) => {
  const full = Object.fromEntries(Array.from({ length: 4096 }, (_, at) => [`192.0.2.1 ${at + 1}`, 1]));
  delete full['192.0.2.1 1'];
  t.deepEqual(await portsOf([{ ...full, [`${b} 6000`]: 1 }], [[b]]), [`${b} null`]);
});
