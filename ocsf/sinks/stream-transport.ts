import type { Writable } from 'node:stream';
import { messageOf } from '../../base/index.ts';
import type { BatchSize, Transport } from './model.ts';
import { unavailable } from './refusal.ts';

/** How lines are written to a stream of this process. */
export type StreamOptions = {
  readonly stream: Writable;
  /** @default 'stdout' */
  readonly name?: string;
  /** Called when whoever reads has gone, as in `tapwarden ship --to - | head`. */
  readonly onGone: () => void;
  /** @default 1000 events, 1 MiB, no wait */
  readonly batch?: BatchSize;
};

/**
 * A transport that writes lines to a stream, at the pace of whoever reads it. A batch counts as taken when the kernel has
 * taken it; what a reader does not read of a pipe is lost with the pipe.
 */
export function openStream({ stream, name = 'stdout', onGone, batch }: StreamOptions): Transport {
  let problem: string | undefined;
  const fail = (error: Error): void => {
    problem ??= messageOf(error);
    onGone();
  };
  stream.on('error', fail);
  return {
    name,
    batch: batch ?? { maxEvents: 1000, maxBytes: 1024 * 1024, lingerMs: 0 },
    send: async (events, signal) => {
      if (problem !== undefined) throw unavailable(name, problem);
      const newline = Buffer.from('\n');
      const lines = Buffer.concat(events.flatMap(({ json }) => [json, newline]));
      await new Promise<void>((resolve, reject) => {
        const stop = (): void => reject(unavailable(name, 'it was stopped'));
        signal.addEventListener('abort', stop, { once: true });
        stream.write(lines, (error) => {
          signal.removeEventListener('abort', stop);
          if (error === null || error === undefined) resolve();
          else reject(unavailable(name, messageOf(error)));
        });
      });
    },
    close: async () => void stream.off('error', fail),
  };
}
