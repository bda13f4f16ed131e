import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import {
  CursorFile,
  openTransport,
  parseSinkAddress,
  readEntries,
  Shipper,
  type ShipStatus,
  type SinkSettings,
} from '../../ocsf/index.ts';
import type { Peer } from './peer.ts';

/** As many events as a test sends while its receiver is killed. */
export const eventCount = 10_000;

/** The lines of a log of events, each with a uid of its own. */
export function eventLines(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) =>
    JSON.stringify({
      time: 1_700_000_000_000 + index,
      class_uid: 4001,
      class_name: 'Network Activity',
      severity_id: 3,
      metadata: { uid: `0195-${String(index).padStart(8, '0')}`, sequence: index + 1, version: '1.8.0' },
      device: { uid: 'vm1', type_id: 6 },
      message: `denied ⛔ "${index}" ${'x'.repeat(index % 200)}`,
    }),
  );
}

/** What is sent, and whereto. */
export type Shipment = {
  readonly lines: readonly string[];
  readonly to: string;
  readonly settings: SinkSettings;
  readonly folder: string;
  /** The receiver: killed and restarted each time another third of the events was acknowledged. */
  readonly peer: Peer;
};

/**
 * Ships a log to a receiver that is killed twice on the way, and asserts that it was in the midst, and that the shipper
 * counted all events as sent.
 */
export async function shipThroughKills(t: ExecutionContext, shipment: Shipment): Promise<ShipStatus> {
  const { lines, folder, settings, peer } = shipment;
  const file = join(folder, 'log.jsonl');
  await writeFile(file, lines.map((line) => `${line}\n`).join(''));
  const address = parseSinkAddress(shipment.to);
  const cursor = new CursorFile(join(folder, 'cursor.json'), { sink: address.name, onProblem: (text) => t.fail(text) });
  const transport = await openTransport(
    address,
    { ...settings, batch: { maxEvents: 200, maxBytes: 1024 * 1024, lingerMs: 100 } },
    { stream: process.stdout, onGone: () => undefined },
  );
  const shipper = new Shipper({
    transport,
    lines: (signal) => readEntries(file, { follow: false, signal }),
    onSettled: (position) => cursor.moved(position),
    backoff: { minMs: 20, maxMs: 200 },
    giveUpMs: 20_000,
  });
  const running = shipper.run();
  // Looked at when it is awaited.
  running.catch(() => undefined);
  for (const part of [1, 2]) {
    while (shipper.status.sent < (lines.length * part) / 3 && shipper.status.state !== 'failed') await sleep(1);
    await peer.kill();
    t.true(shipper.status.sent < lines.length, 'it was killed in the midst');
    await sleep(100);
    await peer.restart();
  }
  const status = await running;
  await cursor.close();
  t.is(status.sent, lines.length);
  t.is(status.dropped + status.broken + status.queued, 0);
  t.true(status.retried > 0, 'an attempt failed on the way');
  const end = (
    await new CursorFile(join(folder, 'cursor.json'), { sink: address.name, onProblem: () => undefined }).load()
  )?.line;
  t.is(end, lines.length, 'the cursor stands at the end');
  return status;
}

/** Asserts that all lines arrived, in their order, and nothing else; a line that came again is the same byte for byte. */
export function assertArrived(t: ExecutionContext, lines: readonly string[], received: readonly string[]): void {
  const unique = [...new Set(received)];
  t.is(unique.length, lines.length, 'each event arrived, and none changed');
  t.deepEqual(
    unique.find((line, index) => line !== lines[index]),
    undefined,
    'in their order',
  );
  t.log(`${received.length - unique.length} events came twice`);
}
