import { PassThrough, Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { type Connection, initialWindow, type StreamNumber } from '../../channel/index.ts';
import { Stdio } from './stdio.ts';

/** What was sent to the guest: messages as they are, data by stream and length. */
type Sent = { readonly messages: Record<string, unknown>[]; readonly input: Buffer[] };

function makeStdio(streams: { stdin?: Readable; stdout?: Writable; stderr?: Writable } = {}): {
  stdio: Stdio;
  sent: Sent;
} {
  const sent: Sent = { messages: [], input: [] };
  const connection = {
    send: async (message: Record<string, unknown>) => void sent.messages.push(message),
    sendData: async (_exec: number, _stream: StreamNumber, bytes: Buffer) => void sent.input.push(Buffer.from(bytes)),
  } as unknown as Connection;
  const stdio = new Stdio(connection, {
    stdin: streams.stdin ?? Readable.from([]),
    stdout: streams.stdout ?? new PassThrough().resume(),
    stderr: streams.stderr ?? new PassThrough().resume(),
  });
  return { stdio, sent };
}

/** A stream that takes nothing until it is let go. */
function stuck(): { readonly stream: Writable; readonly taken: Buffer[]; readonly letGo: () => void } {
  const taken: Buffer[] = [];
  const waiting: (() => void)[] = [];
  let free = false;
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, callback) => {
      taken.push(chunk);
      if (free) callback();
      else waiting.push(callback);
    },
  });
  const letGo = (): void => {
    free = true;
    for (const callback of waiting) callback();
  };
  return { stream, taken, letGo };
}

test('Stdio passes output on byte for byte, each to its own stream', async (t) => {
  const [out, error] = [new PassThrough(), new PassThrough()];
  const { stdio } = makeStdio({ stdout: out, stderr: error });
  t.true(stdio.onData(1, Buffer.from('a\0\xff', 'latin1')));
  t.true(stdio.onData(2, Buffer.from('b')));
  stdio.onEnd(1);
  stdio.onEnd(2);
  await stdio.drained();
  t.is((out.read() as Buffer).toString('latin1'), 'a\0\xff');
  t.is((error.read() as Buffer).toString(), 'b');
});

test('Stdio refuses data for standard input, and more than the window of an output that nobody reads', (t) => {
  const { stream } = stuck();
  const { stdio } = makeStdio({ stdout: stream });
  t.false(stdio.onData(0, Buffer.from('x')));
  t.true(stdio.onData(1, Buffer.alloc(initialWindow)));
  t.false(stdio.onData(1, Buffer.alloc(1)));
});

test('Stdio grants the guest more only as the output is taken', async (t) => {
  const { stream, letGo } = stuck();
  const { stdio, sent } = makeStdio({ stdout: stream });
  for (let i = 0; i < 8; i += 1) t.true(stdio.onData(1, Buffer.alloc(initialWindow / 8)));
  await sleep(20);
  t.deepEqual(
    sent.messages.filter(({ kind }) => kind === 'window'),
    [],
  );
  letGo();
  await sleep(20);
  const granted = sent.messages.filter(({ kind }) => kind === 'window').map(({ bytes }) => Number(bytes));
  t.is(
    granted.reduce((sum, bytes) => sum + bytes, 0),
    initialWindow,
  );
});

test('Stdio.drained() waits for both ends and for slow readers', async (t) => {
  const { stream, letGo, taken } = stuck();
  const { stdio } = makeStdio({ stdout: stream });
  let done = false;
  const drained = stdio.drained().then(() => {
    done = true;
  });
  stdio.onData(1, Buffer.from('late'));
  stdio.onEnd(1);
  await sleep(20);
  t.false(done);
  stdio.onEnd(2);
  await sleep(20);
  t.false(done);
  letGo();
  await drained;
  t.is(taken[0]?.toString(), 'late');
});

test('Stdio tells the guest of a closed output, and takes what still comes', async (t) => {
  const broken = new Writable({ write: (_chunk, _encoding, callback) => callback(new Error('EPIPE')) });
  const { stdio, sent } = makeStdio({ stdout: broken });
  t.true(stdio.onData(1, Buffer.from('x')));
  await sleep(20);
  t.true(sent.messages.some(({ kind, stream }) => kind === 'end' && stream === 1));
  for (let i = 0; i < 40; i += 1) t.true(stdio.onData(1, Buffer.alloc(initialWindow / 8)));
  stdio.onEnd(1);
  stdio.onEnd(2);
  await stdio.drained();
});

test('Stdio sends input in pieces, within the credit that the guest gives, and then its end', async (t) => {
  const stdin = Readable.from([Buffer.alloc(initialWindow, 1), Buffer.alloc(100_000, 2)]);
  const { stdio, sent } = makeStdio({ stdin });
  await sleep(50);
  const bytes = (): number => sent.input.reduce((sum, piece) => sum + piece.length, 0);
  t.is(bytes(), initialWindow);
  t.true(sent.input.every((piece) => piece.length <= 65_536));
  t.deepEqual(sent.messages, []);
  stdio.onWindow(0, 40_000);
  await sleep(20);
  t.is(bytes(), initialWindow + 40_000);
  stdio.onWindow(1, 1_000_000);
  await sleep(20);
  t.is(bytes(), initialWindow + 40_000);
  stdio.onWindow(0, 1_000_000);
  await sleep(20);
  t.is(bytes(), initialWindow + 100_000);
  t.deepEqual(sent.messages, [{ kind: 'end', exec: 1, stream: 0 }]);
});

test('Stdio stops reading input that the command does not want', async (t) => {
  const stdin = new PassThrough();
  const { stdio, sent } = makeStdio({ stdin });
  stdin.write('a');
  await sleep(20);
  stdio.onEnd(0);
  stdin.write('b');
  await sleep(20);
  t.deepEqual(sent.input.map(String), ['a']);
});

test('Stdio takes an input that fails for one that has ended', async (t) => {
  const stdin = new Readable({
    read() {
      this.destroy(new Error('EIO'));
    },
  });
  const { sent } = makeStdio({ stdin });
  await sleep(20);
  t.deepEqual(sent.messages, [{ kind: 'end', exec: 1, stream: 0 }]);
});
