import { createInterface } from 'node:readline';
import { isTapwardenError } from '../../base/index.ts';
import { NfnetlinkSocket } from '../../nft/nfnetlink-socket.ts';

/**
 * A program of its own, for tests: reads nf_tables of the network namespace in which it is started, since a netlink
 * socket belongs to the one in which it is opened. A line of JSON asks, a line answers.
 */
export type NfnetlinkQuestion = {
  readonly ask: 'handle' | 'counters' | 'elements' | 'count' | 'interruptions';
  readonly table: string;
  readonly set?: string;
};

/** The answer: a value, or a code. `value` of `elements` is a list of pairs of a key in hexadecimal and packets. */
export type NfnetlinkAnswer = { readonly value?: unknown; readonly code?: string; readonly ms: number };

const socket = new NfnetlinkSocket({ bufferBytes: Number(process.argv[2] ?? 65_536) });

async function answer({ ask, table: name, set = '' }: NfnetlinkQuestion): Promise<unknown> {
  const table = { family: 'inet', name } as const;
  switch (ask) {
    case 'handle':
      return await socket.tableHandle(table);
    case 'counters':
      return Object.fromEntries(await socket.counters(table));
    case 'elements':
      return [...(await socket.elements(table, set))].map(([key, packets]) => [
        Buffer.from(key, 'latin1').toString('hex'),
        packets,
      ]);
    case 'interruptions':
      return socket.interruptions;
    case 'count':
      return (await socket.elements(table, set)).size;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const begun = process.hrtime.bigint();
  const reply = await answer(JSON.parse(line) as NfnetlinkQuestion).then(
    (value) => ({ value }),
    (error: unknown) => ({ code: isTapwardenError(error) ? error.code : String(error) }),
  );
  const ms = Number((process.hrtime.bigint() - begun) / 1_000_000n);
  process.stdout.write(`${JSON.stringify({ ...reply, ms } satisfies NfnetlinkAnswer)}\n`);
}
socket.close();
