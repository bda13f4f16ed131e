import { readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import test from 'ava';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { inNetworkNamespace, inScratchNamespace, run } from './index.ts';

let scratch: ScratchNamespace;
test.before(async () => {
  if (process.geteuid?.() === 0) scratch = await makeScratchNamespace();
});
test.after.always(async () => await scratch?.close());

const standing = (): string => readlinkSync('/proc/thread-self/ns/net');
const path = (): string => `/proc/${scratch.pid}/ns/net`;

kernelTest('inNetworkNamespace() stands in the namespace for as long as its body runs, and no longer', async (t) => {
  const own = standing();
  const there = readlinkSync(path());
  t.not(own, there);
  t.is(await inNetworkNamespace(path(), standing), there);
  t.is(standing(), own);
  await t.throwsAsync(
    inNetworkNamespace(path(), () => {
      throw new RangeError('of the body');
    }),
    { instanceOf: RangeError },
  );
  t.is(standing(), own);
});

kernelTest('inNetworkNamespace() leaves the sockets of its body there, and other threads where they are', async (t) => {
  // Files are read by threads of the pool, which must not have come along.
  const reads: Promise<string>[] = [];
  const server = await inNetworkNamespace(path(), () => {
    for (let count = 0; count < 8; count += 1) reads.push(readFile('/proc/thread-self/net/dev', 'utf8'));
    return createServer((socket) => socket.end('inside')).listen(0);
  });
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const client = `require('node:net').connect(${port}, '127.0.0.1').pipe(process.stdout)`;
  t.is((await scratch.run([process.execPath, '-e', client])).stdout, 'inside');
  await t.throwsAsync(run([process.execPath, '-e', client]), { code: 'COMMAND_FAILED', message: /ECONNREFUSED/ });
  const own = await readFile('/proc/thread-self/net/dev', 'utf8');
  const devices = (table: string): readonly string[] => table.match(/^ *\S+:/gm) ?? [];
  for (const read of await Promise.all(reads)) t.deepEqual(devices(read), devices(own));
});

kernelTest('inNetworkNamespace() says which namespace it cannot enter, and calls nothing', async (t) => {
  let called = 0;
  const body = (): void => {
    called += 1;
  };
  await t.throwsAsync(inNetworkNamespace('/run/netns/tw-no-such', body), {
    code: 'NAMESPACE_FAILED',
    message: /ENOENT/,
  });
  await t.throwsAsync(inNetworkNamespace('/proc/self/ns/mnt', body), { code: 'NAMESPACE_FAILED', message: /EINVAL/ });
  t.is(called, 0);
});

kernelTest('inNetworkNamespace() needs the right to enter', async (t) => {
  const module = new URL('./network-namespace.js', import.meta.url).href;
  const program = `import(${JSON.stringify(module)}).then(({ inNetworkNamespace }) =>
    inNetworkNamespace('/proc/self/ns/net', () => console.log('in')).catch((error) => console.log(error.code, error.message)))`;
  const { stdout } = await run(['setpriv', '--reuid=65534', '--clear-groups', process.execPath, '-e', program]);
  t.regex(stdout, /^NAMESPACE_FAILED .*EPERM/);
});

kernelTest('inScratchNamespace() gives a namespace with nothing in it, and takes it away', async (t) => {
  const own = standing();
  let path = '';
  const there = await inScratchNamespace(async (given) => {
    path = given;
    t.is(standing(), own);
    const { stdout } = await run(['nsenter', `--net=${given}`, '--', 'ip', '-brief', 'link']);
    t.regex(stdout, /^lo +DOWN[^\n]*\n$/);
    return readlinkSync(given);
  });
  t.not(there, own);
  t.is(standing(), own);
  t.throws(() => readlinkSync(path), { code: 'ENOENT' });
  await t.throwsAsync(
    inScratchNamespace(async () => await Promise.reject(new RangeError('of the body'))),
    {
      instanceOf: RangeError,
    },
  );
});
