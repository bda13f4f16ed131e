import { chmod, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { dir } from 'tmp-promise';
import { type Argv, start } from '../base/index.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { seccompFilter } from './seccomp.ts';

const errno = { none: 0, EPERM: 1, ENOSYS: 38, EAFNOSUPPORT: 97 } as const;

let folder = '';
test.before(async () => {
  folder = (await dir({ prefix: 'tapwarden-seccomp-' })).path;
  await writeFile(join(folder, 'filter'), seccompFilter());
});
test.after.always(async () => await rm(folder, { recursive: true, force: true }));

/** Runs a program under bwrap, as root with all capabilities, so that only the filter can refuse what it does. */
async function confined(argv: readonly string[], filtered: boolean) {
  const filter = await open(join(folder, 'filter'), 'r');
  const words = ['bwrap', '--dev-bind', '/', '/', '--cap-add', 'ALL', ...(filtered ? ['--seccomp', '3'] : []), '--'];
  const child = start([...words, ...argv] as unknown as Argv, { stdio: ['ignore', 'pipe', 'inherit', filter.fd] });
  let output = '';
  child.process.stdout?.on('data', (piece: Buffer) => {
    output += piece.toString();
  });
  const closed = new Promise((resolve) => child.process.once('close', resolve));
  const { status, signal } = await child.ended;
  await closed;
  await filter.close();
  return { status, signal, output };
}

async function errnosOf(filtered: boolean): Promise<Readonly<Record<string, number>>> {
  const script = await readFile('supervisor/testdata/calls.pl', 'utf8');
  const { output } = await confined(['perl', '-e', script], filtered);
  return Object.fromEntries(
    output
      .trim()
      .split('\n')
      .map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]),
  );
}

const allowed = ['unix', 'inet', 'inet6', 'route', 'pair_unix', 'unshare_uts', 'getpid'];
const refused: Readonly<Record<string, number>> = {
  netfilter: errno.EPERM,
  audit: errno.EPERM,
  packet: errno.EPERM,
  pair_packet: errno.EPERM,
  alg: errno.EAFNOSUPPORT,
  vsock: errno.EAFNOSUPPORT,
  bluetooth: errno.EAFNOSUPPORT,
  add_key: errno.EPERM,
  request_key: errno.EPERM,
  keyctl: errno.EPERM,
  perf: errno.EPERM,
  setns: errno.EPERM,
  bpf: errno.EPERM,
  userfaultfd: errno.EPERM,
  io_uring_setup: errno.EPERM,
  io_uring_enter: errno.EPERM,
  io_uring_register: errno.EPERM,
  clone3: errno.ENOSYS,
  clone_user: errno.EPERM,
  unshare_user: errno.EPERM,
  x32_getpid: errno.ENOSYS,
};

kernelTest(
  'seccompFilter() refuses what the workload has no use for, with the errno that programs expect',
  async (t) => {
    const without = await errnosOf(false);
    const within = await errnosOf(true);
    for (const name of allowed) t.is(within[name], errno.none, name);
    for (const [name, wanted] of Object.entries(refused)) t.is(within[name], wanted, name);
    // Only the low half of the family counts, for the kernel as for the filter.
    t.is(within['high_family'], without['high_family']);
    // A refusal proves something where this kernel, without the filter, answers otherwise.
    const proved = Object.keys(refused).filter((name) => without[name] !== within[name]);
    t.log(
      `not proved on this kernel: ${
        Object.keys(refused)
          .filter((name) => !proved.includes(name))
          .join(' ') || 'none'
      }`,
    );
    for (const name of ['netfilter', 'packet', 'clone3', 'unshare_user', 'clone_user', 'setns', 'bpf']) {
      t.true(proved.includes(name), `${name} without the filter: ${without[name]}`);
    }
  },
);

/** A 64-bit program that asks for its uid through the 32-bit table, and exits with the errno. */
function oldTableProgram(): Buffer {
  const code = Buffer.from('b818000000cd8089c7f7dfb83c0000000f05', 'hex');
  const header = Buffer.alloc(120);
  Buffer.from('7f454c4602010100', 'hex').copy(header);
  header.writeUInt16LE(2, 16); // An executable,
  header.writeUInt16LE(62, 18); // for x86-64.
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(0x400078n, 24); // Entry: behind the headers.
  header.writeBigUInt64LE(64n, 32); // Its program header stands behind this one,
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56); // and there is one.
  header.writeUInt32LE(1, 64); // To be loaded,
  header.writeUInt32LE(5, 68); // readable and executable,
  header.writeBigUInt64LE(0x400000n, 80);
  header.writeBigUInt64LE(BigInt(header.length + code.length), 96);
  header.writeBigUInt64LE(BigInt(header.length + code.length), 104);
  return Buffer.concat([header, code]);
}

kernelTest('seccompFilter() closes the 32-bit system call table', async (t) => {
  const program = join(folder, 'old-table');
  await writeFile(program, oldTableProgram());
  await chmod(program, 0o755);
  const without = await confined([program], false);
  if (without.status !== 0) t.log(`not proved: this kernel has no 32-bit table (${without.signal ?? without.status})`);
  const within = await confined([program], true);
  if (without.status === 0) t.is(within.status, errno.ENOSYS);
  else t.not(within.status, 0);
});

kernelTest('seccompFilter() leaves threads, child processes and sockets to a program that needs them', async (t) => {
  const script = `
    const { Worker } = require('node:worker_threads');
    const { execFileSync } = require('node:child_process');
    const { createServer, connect } = require('node:net');
    const said = [execFileSync('sh', ['-c', 'echo child | cat']).toString().trim()];
    new Worker('require("node:worker_threads").parentPort.postMessage("thread")', { eval: true }).on('message', (word) => {
      said.push(word);
      require('node:dns').lookup('localhost', () => {
        const server = createServer((socket) => socket.end('socket')).listen(0, '127.0.0.1', () =>
          connect(server.address().port, '127.0.0.1').on('data', (data) => {
            console.log([...said, data].join(' '));
            process.exit(0);
          }));
      });
    });`;
  const { status, output } = await confined([process.execPath, '-e', script], true);
  t.is(status, 0);
  t.is(output, 'child thread socket\n');
});
