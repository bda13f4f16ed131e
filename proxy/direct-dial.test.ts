import { once } from 'node:events';
import { Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { createDirectDial, type DirectDialOptions } from './direct-dial.ts';
import { DialError, type DialFailure, type ProxyRequest } from './model.ts';
import { startTcp } from './test-harness.ts';

const requestTo = (host: string, port = 80): ProxyRequest => ({
  kind: 'connect',
  host,
  port,
  method: 'CONNECT',
  client: { address: '127.0.0.1', port: 1 },
});

const forbidden = { kind: 'deny', code: 'ADDRESS_FORBIDDEN', reason: '10.0.0.1 is private', hint: 'List it' } as const;

const defaults: DirectDialOptions = {
  resolve: async () => ['192.0.2.1'],
  checkAddress: (address) => (address.startsWith('10.') ? forbidden : { kind: 'allow' }),
  connectTimeoutMs: 1000,
  connect: async () => new Socket(),
};

const failureOf = async (t: ExecutionContext, options: Partial<DirectDialOptions>, host = 'a.test') => {
  const dial = createDirectDial({ ...defaults, ...options });
  const thrown = await t.throwsAsync(dial(requestTo(host), new AbortController().signal), { instanceOf: DialError });
  return thrown?.failure as DialFailure;
};

test('createDirectDial() connects to the address that it checked and never to the name', async (t) => {
  const port = await startTcp(t, (socket) => socket.end('hi'));
  const dial = createDirectDial({
    resolve: async () => ['127.0.0.1'],
    checkAddress: () => ({ kind: 'allow' }),
    connectTimeoutMs: 1000,
  });
  const { socket, address } = await dial(requestTo('a.test', port), new AbortController().signal);
  t.is(address, '127.0.0.1');
  t.is(String((await once(socket, 'data'))[0]), 'hi');
  t.true(socket.allowHalfOpen);
  socket.destroy();
});

test('createDirectDial() resolves once and tries the addresses in order', async (t) => {
  let resolved = 0;
  const tried: string[] = [];
  const dial = createDirectDial({
    ...defaults,
    resolve: async () => {
      resolved += 1;
      return ['192.0.2.1', '2001:db8::1', '192.0.2.1', '192.0.2.3'];
    },
    connect: async (address) => {
      tried.push(address);
      if (address !== '192.0.2.3') throw Object.assign(new Error('no'), { code: 'ECONNREFUSED' });
      return new Socket();
    },
  });
  const { address } = await dial(requestTo('a.test'), new AbortController().signal);
  t.deepEqual([resolved, tried, address], [1, ['192.0.2.1', '2001:db8::1', '192.0.2.3'], '192.0.2.3']);
});

test('createDirectDial() denies a mixed answer before it connects to anything', async (t) => {
  const connected: string[] = [];
  const failure = await failureOf(t, {
    resolve: async () => ['192.0.2.1', '10.0.0.1'],
    connect: async (address) => {
      connected.push(address);
      return new Socket();
    },
  });
  t.deepEqual(failure, {
    kind: 'denied',
    denial: {
      code: 'ADDRESS_FORBIDDEN',
      reason: '10.0.0.1 is private (one of 2 addresses of a.test)',
      hint: 'List it',
    },
    address: '10.0.0.1',
  });
  t.deepEqual(connected, []);
});

test('createDirectDial() checks an address literal too and does not resolve it', async (t) => {
  const resolve = async (): Promise<readonly string[]> => t.fail('resolved') as never;
  t.is((await failureOf(t, { resolve }, '10.0.0.1')).kind, 'denied');
});

test('createDirectDial() checks every answer beyond the eight that it tries', async (t) => {
  const many = [...Array(20).keys()].map((index) => `192.0.2.${index}`);
  t.is((await failureOf(t, { resolve: async () => [...many, '10.0.0.1'] })).kind, 'denied');
  let tried = 0;
  const connect = async (): Promise<Socket> => {
    tried += 1;
    throw new Error('no');
  };
  t.is((await failureOf(t, { resolve: async () => many, connect })).kind, 'unreachable');
  t.is(tried, 8);
});

test('createDirectDial() tells an unresolved name with its errno', async (t) => {
  const resolve = async (): Promise<never> => {
    throw Object.assign(new Error('x'), { code: 'ENOTFOUND' });
  };
  t.like(await failureOf(t, { resolve }), { kind: 'unresolved', errno: 'ENOTFOUND' });
  t.is((await failureOf(t, { resolve: async () => [] })).kind, 'unresolved');
});

test('createDirectDial() takes no answer that is not a plain address', async (t) => {
  for (const answer of ['localhost', 'fe80::1%lo', '127.1', '']) {
    t.is((await failureOf(t, { resolve: async () => ['192.0.2.1', answer] })).kind, 'unresolved', answer);
  }
});

test('createDirectDial() gives a silent address its share of the time and goes on', async (t) => {
  let late: ((socket: Socket) => void) | undefined;
  const dial = createDirectDial({
    ...defaults,
    connectTimeoutMs: 60,
    resolve: async () => ['192.0.2.1', '192.0.2.2'],
    connect: (address) =>
      address === '192.0.2.2' ? Promise.resolve(new Socket()) : new Promise((resolve) => (late = resolve)),
  });
  t.is((await dial(requestTo('a.test'), new AbortController().signal)).address, '192.0.2.2');
  const socket = new Socket();
  late?.(socket);
  await new Promise((resolve) => setImmediate(resolve));
  t.true(socket.destroyed, 'a connection that comes too late is closed');
});

test('createDirectDial() tells a timeout, and throws the reason of its signal', async (t) => {
  const connect = (): Promise<Socket> => new Promise(() => undefined);
  t.is((await failureOf(t, { connect, connectTimeoutMs: 20 })).kind, 'timeout');
  const abort = new AbortController();
  const dialled = createDirectDial({ ...defaults, connect })(requestTo('a.test'), abort.signal);
  abort.abort(new Error('gone'));
  await t.throwsAsync(dialled, { message: 'gone' });
});
