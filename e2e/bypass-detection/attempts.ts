import type { Bench, Running } from '../support/sandbox-bench.ts';
import { until } from '../support/until.ts';

/** Makes so many attempts, to ports of their own, each time that it reads a number; says how many were made. */
export const attempts = `
import socket, sys
print("up", flush=True)
port = 1000
for line in sys.stdin:
    for _ in range(int(line)):
        port += 1
        socket.socket().connect_ex(("198.51.100.1", port))
    print("made", port - 1000, flush=True)
`;

/** Starts a run of {@link attempts}; `make` tells it to make some more, and waits for them. */
export async function startAttempts(
  bench: Bench,
  args: readonly string[] = [],
): Promise<{ readonly running: Running; readonly make: (count: number) => Promise<void> }> {
  const running = bench.start(['--quiet', ...args, '--', 'python3', '-c', attempts]);
  await until(() => running.output().includes('up\n'), 60_000);
  let made = 0;
  const make = async (count: number): Promise<void> => {
    made += count;
    running.stdin.write(`${count}\n`);
    await until(() => running.output().includes(`made ${made}\n`), 30_000);
  };
  return { running, make };
}
