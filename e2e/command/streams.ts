import { randomBytes } from 'node:crypto';
import type { ExecutionContext } from 'ava';
import type { Bench } from '../support/sandbox-bench.ts';

const mebibyte = 1 << 20;

/** Reads all input, sends it to standard output as it came and to standard error backwards. */
const both = `
import sys
data = sys.stdin.buffer.read()
sys.stdout.buffer.write(data)
sys.stdout.flush()
sys.stderr.buffer.write(data[::-1])
sys.stderr.flush()
sys.exit(7)
`;

/** Tests of a command's streams, for guests and jails. */
export const streamTests: readonly (readonly [
  title: string,
  body: (t: ExecutionContext, bench: Bench) => Promise<void>,
])[] = [
  [
    'standard input, output and error pass byte for byte, and the exit status too',
    async (t, bench) => {
      const input = randomBytes(mebibyte);
      const { status, stdout, stderrBytes, result } = await bench.run(['--quiet', '--', 'python3', '-c', both], {
        input,
      });
      t.is(status, 7);
      t.true(stdout.equals(input), `standard output: ${stdout.length} bytes`);
      // A jail says what it is, whatever is asked for.
      const error = bench.boundary === 'jail' ? stderrBytes.subarray(stderrBytes.indexOf('\n') + 1) : stderrBytes;
      t.true(error.equals(Buffer.from(input).reverse()), 'with --quiet standard error is the command’s alone');
      t.deepEqual([result?.exit, result?.reason], [7, 'exited']);
    },
  ],
  [
    'a command that closes its input or needs none ends while the caller still writes',
    async (t, bench) => {
      const run = bench.start(['--', 'sh', '-c', 'head -c 3; exec 0<&-; echo; echo done']);
      run.stdin.write('abcdef');
      run.stdin.write(Buffer.alloc(4 * mebibyte));
      // The input is never ended by us.
      const { status, stdout } = await run.ended;
      t.is(status, 0);
      t.is(stdout.toString('utf8'), 'abc\ndone\n');
    },
  ],
  [
    'a reader that goes away ends the command by SIGPIPE, as in a shell',
    async (t, bench) => {
      const run = bench.start(
        ['--', 'python3', '-c', 'import signal\nsignal.signal(13, 0)\nwhile True: print("y" * 1000)'],
        {
          collect: false,
        },
      );
      run.stdin.end();
      await new Promise<void>((resolve) => run.stdout.once('data', () => resolve()));
      run.stdout.destroy();
      const { status, result, stderr } = await run.ended;
      t.is(status, 141, stderr);
      t.deepEqual([result?.exit, result?.reason], [141, 'signal']);
    },
  ],
];
