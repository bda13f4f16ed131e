import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { withDir } from 'tmp-promise';
import type { TapwardenError } from '../base/index.ts';
import { until } from '../e2e/support/until.ts';
import { Connection, type ConnectionHandlers } from './connection.ts';
import { encodeFrame } from './frame.ts';

/** Both ends of a unix socket, as the channel has them. */
async function withPair(body: (near: Socket, far: Socket) => Promise<void>): Promise<void> {
  await withDir(
    async ({ path }) => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(join(path, 's'), resolve));
      const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
      const near = connect(join(path, 's'));
      const far = await accepted;
      far.on('error', () => undefined);
      try {
        await body(near, far);
      } finally {
        near.destroy();
        far.destroy();
        await new Promise((resolve) => server.close(resolve));
      }
    },
    { unsafeCleanup: true },
  );
}

const handlers = (log: unknown[]): ConnectionHandlers => ({
  onMessage: (payload) => log.push(JSON.parse(payload.toString())),
  onData: (exec, stream, payload) => log.push([exec, stream, payload.toString()]),
  onClose: (reason) => log.push(reason.code),
});

test('Connection carries messages and stream data in order, both ways', async (t) => {
  await withPair(async (near, far) => {
    const [left, right]: [unknown[], unknown[]] = [[], []];
    const a = new Connection(near, handlers(left));
    const b = new Connection(far, handlers(right));
    await Promise.all([a.send({ n: 1 }), a.sendData(7, 1, Buffer.from('out')), a.send({ n: 2 }), b.send({ n: 3 })]);
    await until(() => right.length >= 3 && left.length >= 1);
    t.deepEqual(right, [{ n: 1 }, [7, 1, 'out'], { n: 2 }]);
    t.deepEqual(left, [{ n: 3 }]);
  });
});

test('Connection cuts stream data into frames of 64 KiB, and sends none for no bytes', async (t) => {
  await withPair(async (near, far) => {
    const sizes: number[] = [];
    const a = new Connection(near, handlers([]));
    new Connection(far, { ...handlers([]), onData: (_exec, _stream, payload) => sizes.push(payload.length) });
    await a.sendData(1, 0, Buffer.alloc(150_000));
    await a.sendData(1, 0, Buffer.alloc(0));
    await a.sendData(1, 0, Buffer.alloc(1));
    await until(() => sizes.length >= 4);
    t.deepEqual(sizes, [65_536, 65_536, 18_928, 1]);
  });
});

test('Connection makes its sender wait for a reader that is slow, and loses nothing', async (t) => {
  await withPair(async (near, far) => {
    const a = new Connection(near, handlers([]));
    far.pause();
    let sent = 0;
    let largest = 0;
    const piece = Buffer.alloc(65_536, 1);
    const sending = (async () => {
      for (; sent < 512; sent += 1) await a.sendData(1, 1, piece);
    })();
    for (let i = 0; i < 10; i += 1) {
      await sleep(20);
      largest = Math.max(largest, near.writableLength);
    }
    // A unix socket takes a few hundred KiB; 32 MiB do not pile up in this process.
    t.true(sent < 64, `${sent} pieces were taken`);
    t.true(largest <= 2 * 65_548, `${largest} bytes were buffered`);
    let received = 0;
    new Connection(far, { ...handlers([]), onData: (_exec, _stream, payload) => (received += payload.length) });
    far.resume();
    await sending;
    await until(() => received >= 512 * 65_536);
    t.is(received, 512 * 65_536);
  });
});

test('Connection tells once that the other side is gone, and a send after that does not hang', async (t) => {
  await withPair(async (near, far) => {
    const log: unknown[] = [];
    const a = new Connection(near, handlers(log));
    far.destroy();
    await until(() => log.length > 0);
    t.deepEqual(log, ['CHANNEL_CLOSED']);
    t.true(a.closed);
    await a.send({ late: true });
    await a.sendData(1, 1, Buffer.from('late'));
  });
});

test('Connection lets a sender go that waits for a reader which dies', async (t) => {
  await withPair(async (near, far) => {
    const a = new Connection(near, handlers([]));
    far.pause();
    const sending = a.sendData(1, 1, Buffer.alloc(32 * 1024 * 1024));
    await sleep(50);
    far.destroy();
    await sending;
    t.true(a.closed);
  });
});

test('Connection ends with CHANNEL_PROTOCOL when the other side breaks it, after what it said before', async (t) => {
  await withPair(async (near, far) => {
    const log: unknown[] = [];
    let reason: TapwardenError | undefined;
    const a = new Connection(near, {
      ...handlers(log),
      onClose: (error) => {
        reason = error;
      },
    });
    const good = encodeFrame({ kind: 'message', payload: Buffer.from('{"n":1}') }, 1);
    far.write(good);
    await until(() => log.length > 0);
    far.write(Buffer.from('garbage that is no frame'));
    await until(() => reason !== undefined);
    t.deepEqual(log, [{ n: 1 }]);
    t.is(reason?.code, 'CHANNEL_PROTOCOL');
    t.true(a.closed);
    t.true(near.destroyed);
  });
});

test('Connection passes good frames on that came in one piece with a bad one', async (t) => {
  await withPair(async (near, far) => {
    const log: unknown[] = [];
    new Connection(near, handlers(log));
    const good = encodeFrame({ kind: 'message', payload: Buffer.from('{"n":1}') }, 1);
    far.write(Buffer.concat([good, Buffer.from('garbage that is no frame')]));
    await until(() => log.length >= 2);
    t.deepEqual(log, [{ n: 1 }, 'CHANNEL_PROTOCOL']);
  });
});

test('Connection.close() ends it without a word', async (t) => {
  await withPair(async (near, far) => {
    const log: unknown[] = [];
    const ended = new Promise((resolve) => far.once('close', resolve));
    new Connection(near, handlers(log)).close();
    far.resume();
    await ended;
    t.deepEqual(log, []);
  });
});

test('Connection treats what a handler throws as the end', async (t) => {
  await withPair(async (near, far) => {
    const log: unknown[] = [];
    new Connection(near, {
      ...handlers(log),
      onMessage: () => {
        throw new TypeError('handler');
      },
    });
    far.write(encodeFrame({ kind: 'message', payload: Buffer.from('1') }, 1));
    await until(() => log.length > 0);
    t.deepEqual(log, ['CHANNEL_CLOSED']);
  });
});

test('Connection passes nothing on behind a frame over which a handler closed it', async (t) => {
  await withPair(async (near, far) => {
    const log: unknown[] = [];
    const connection: Connection = new Connection(near, {
      ...handlers(log),
      onMessage: (payload) => {
        log.push(payload.toString());
        connection.close();
      },
    });
    far.write(Buffer.concat([1, 2].map((n) => encodeFrame({ kind: 'message', payload: Buffer.from(`${n}`) }, n))));
    await until(() => near.destroyed);
    t.deepEqual(log, ['1']);
  });
});
