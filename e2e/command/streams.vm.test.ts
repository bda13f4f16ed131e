import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { sandboxProcesses } from '../support/host-snapshot.ts';
import { type Bench, type Running, vmTest } from '../support/vm-test.ts';
import { streamTests } from './streams.ts';

const mebibyte = 1 << 20;

for (const [title, body] of streamTests) vmTest(`run: ${title}`, body);

vmTest(
  'run: 100 MiB pass whole through cat, in bounded memory, when the reader is slow',
  async (t, bench) => {
    const size = 100 * mebibyte;
    const run = bench.start(['--quiet', '--', 'cat'], { collect: false });
    const sent = createHash('sha256');
    const received = createHash('sha256');
    let bytes = 0;
    // For the first seconds nobody reads: what is under way must not pile up anywhere.
    const reading = sleep(6000).then(async () => {
      for await (const piece of run.stdout as AsyncIterable<Buffer>) {
        received.update(piece);
        bytes += piece.length;
      }
    });
    const piece = randomBytes(mebibyte);
    const peaks = watchMemory(run, bench);
    for (let at = 0; at < size; at += piece.length) {
      piece.writeUInt32LE(at, 0);
      sent.update(piece);
      if (!run.stdin.write(Buffer.from(piece))) await new Promise((resolve) => run.stdin.once('drain', resolve));
    }
    run.stdin.end();
    await reading;
    const { status } = await run.ended;
    t.is(status, 0);
    t.is(bytes, size);
    t.is(received.digest('hex'), sent.digest('hex'));
    const { tapwarden, channel } = await peaks;
    t.log(
      `peak memory: tapwarden ${Math.round(tapwarden / 1024)} MiB, its channel process ${Math.round(channel / 1024)} MiB`,
    );
    // A Node process has about 70 MiB by itself; none of these holds a large part of what passed.
    t.true(tapwarden > 0 && tapwarden < 150 * 1024, `tapwarden: ${tapwarden} KiB`);
    t.true(channel > 0 && channel < 150 * 1024, `channel process: ${channel} KiB`);
  },
  600_000,
);

/** The most memory that tapwarden and its channel process had, in KiB, read until the run is over. */
async function watchMemory(
  run: Running,
  bench: Bench,
): Promise<{ readonly tapwarden: number; readonly channel: number }> {
  const peaks = { tapwarden: 0, channel: 0 };
  let over = false;
  void run.ended.then(() => {
    over = true;
  });
  while (!over) {
    const own = await readFile(`/proc/${run.pid}/status`, 'utf8').catch(() => '');
    peaks.tapwarden = Math.max(peaks.tapwarden, Number(/^VmHWM:\s*(\d+) kB/m.exec(own)?.[1] ?? 0));
    for (const { name, peakKiB } of (await sandboxProcesses()).filter(bench.isOurs)) {
      if (!name.startsWith('qemu')) peaks.channel = Math.max(peaks.channel, peakKiB);
    }
    await sleep(250);
  }
  return peaks;
}
