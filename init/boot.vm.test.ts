import { readFile, rm } from 'node:fs/promises';
import test from 'ava';
import { dir } from 'tmp-promise';
import { run, start } from '../base/runner.ts';
import { channelPortName, consoleLines, link } from './contract.ts';
import { ensureGuest, type GuestImage } from './guest-image.ts';
import { kernelCommandLine } from './kernel-command-line.ts';
import { parseTscKhz } from './tsc.ts';
import { ensureWorkloadImage } from './workload-image.ts';

/** What a program in the guest left behind. */
type Left = { readonly status: number | null; readonly out: string; readonly err: string };

/** What testdata/boot-report.cjs prints. */
type Report = {
  readonly environment: Readonly<Record<string, string>>;
  readonly modules: readonly string[];
  readonly wrongSettings: readonly string[];
  readonly modulesDisabled: string;
  readonly controllers: string;
  readonly ports: readonly (string | null)[];
  readonly zombies: readonly string[];
  readonly workload: Readonly<
    Record<'status' | 'processes' | 'write' | 'python' | 'git' | 'curl' | 'user' | 'names', Left>
  >;
} & Readonly<Record<'addresses' | 'neighbours' | 'routes' | 'routes6' | 'list' | 'netns' | 'veth', Left>> &
  Readonly<Record<'rules' | 'mount' | 'userNamespace' | 'kernelLog' | 'rootWrite', Left>>;

const bundle = 'init/testdata/boot-report.cjs';

let stateDir = '';
test.before(async () => {
  stateDir = (await dir({ prefix: 'tapwarden-init-' })).path;
});
test.after.always(() => rm(stateDir, { recursive: true, force: true }));

const guest = (omitModules: readonly string[] = []): Promise<GuestImage> =>
  ensureGuest({ stateDir, supervisorBundle: bundle, run, onProgress: () => undefined, omitModules });

/** Boots the guest until it powers off, and returns what the console said. */
async function boot(image: GuestImage, options: { probe?: boolean; workload?: string } = {}): Promise<string> {
  const tscKhz = parseTscKhz(await readFile('/proc/cpuinfo', 'utf8')) ?? 2_000_000;
  const append = kernelCommandLine({ accelerator: 'tcg', tscKhz, verbose: false, probe: options.probe ?? false });
  const disk = (id: string, file: string) => [
    ...['-drive', `if=none,id=${id},file=${file},format=raw,readonly=on`],
    ...['-device', `virtio-blk-device,drive=${id}`],
  ];
  const machine = '-accel tcg -M microvm -cpu qemu64,+rdrand -m 512 -nodefaults -no-user-config -no-reboot -nographic';
  const devices = `-netdev hubport,id=n0,hubid=0 -device virtio-net-device,netdev=n0,mac=${link.guestMac} -device virtio-serial-device -chardev null,id=c0 -device virtserialport,chardev=c0,name=${channelPortName}`;
  const argv = [
    ...[...machine.split(' '), '-serial', 'stdio', '-kernel', image.kernel, '-initrd', image.initrd],
    ...[...disk('d0', image.root), ...(options.workload === undefined ? [] : disk('d1', options.workload))],
    ...[...devices.split(' '), '-append', append],
  ];
  const child = start(['qemu-system-x86_64', ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
  let console = '';
  for (const stream of [child.process.stdout, child.process.stderr]) {
    stream?.on('data', (data: Buffer) => {
      console += data.toString('latin1');
    });
  }
  const watchdog = setTimeout(() => child.process.kill('SIGKILL'), 90_000);
  await child.ended;
  clearTimeout(watchdog);
  return console.replaceAll('\r', '');
}

test.serial('boot: the guest has what the supervisor relies on, and powers off when that ends', async (t) => {
  t.timeout(300_000);
  const image = await guest();
  const workload = await ensureWorkloadImage({ stateDir, name: 'default', run, onProgress: () => undefined });
  const console = await boot(image, { workload: workload.path });
  const line = /^REPORT (.*)$/m.exec(console)?.[1];
  if (line === undefined) {
    t.fail(`the guest said:\n${console}`);
    return;
  }
  const report = JSON.parse(line) as Report;
  t.log(`supervisor runs ${String(Object.entries(report).find(([key]) => key === 'uptimeS')?.[1])} s after the kernel`);

  t.true(console.includes(`${consoleLines.supervisorEnded}7\n`), console);
  t.false(new RegExp(`^${consoleLines.initPrefix}(?!supervisor)`, 'm').test(console), console);
  t.deepEqual(Object.keys(report.environment).sort(), ['HOME', 'LANG', 'PATH']);

  t.deepEqual(report.wrongSettings, []);
  t.is(report.modulesDisabled, '1');
  for (const name of ['virtio_net', 'virtio_console', 'nft_log', 'nft_socket', 'nft_objref', 'sctp', 'overlay']) {
    t.true(report.modules.includes(name), `${name} is loaded`);
  }
  t.deepEqual(report.controllers.split(' ').sort(), ['cpu', 'memory', 'pids']);
  t.deepEqual(report.ports, [channelPortName]);
  t.deepEqual(report.zombies, []);

  const eth0 = (
    JSON.parse(report.addresses.out) as readonly {
      readonly ifname: string;
      readonly address: string;
      readonly addr_info: readonly { readonly local: string; readonly prefixlen: number }[];
    }[]
  ).find(({ ifname }) => ifname === link.guestInterface);
  t.is(eth0?.address, link.guestMac);
  t.deepEqual(
    eth0?.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    [`${link.guestIpv4}/30`, `${link.guestIpv6}/126`],
  );
  const neighbours = JSON.parse(report.neighbours.out) as readonly { dst: string; lladdr: string; state: string[] }[];
  t.deepEqual(neighbours.map(({ dst, lladdr, state }) => `${dst} ${lladdr} ${state.join()}`).sort(), [
    `${link.hostIpv4} ${link.hostMac} PERMANENT`,
    `${link.hostIpv6} ${link.hostMac} PERMANENT`,
  ]);
  t.regex(report.routes.out, /^default via 10\.0\.128\.1 dev eth0/m);
  t.regex(report.routes6.out, /^default via fd74:7761:7264::1 dev eth0/m);

  for (const step of ['list', 'netns', 'veth', 'rules', 'mount'] as const) {
    t.is(report[step].status, 0, `${step}: ${report[step].err}`);
  }
  t.not(report.userNamespace.status, 0);
  t.not(report.kernelLog.status, 0);
  t.not(report.rootWrite.status, 0);

  const { status, processes, write, python, git, curl, user, names } = report.workload;
  t.regex(status.out, /^Uid:\t1000\t1000\t1000\t1000$/m, status.err);
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) {
    t.regex(status.out, new RegExp(`^${set}:\\t0{16}$`, 'm'));
  }
  t.regex(status.out, /^NoNewPrivs:\t1$/m);
  t.regex(processes.out, /^\/proc\/1 \/proc\/\d$/, 'the workload sees its own processes only');
  t.not(write.status, 0);
  t.deepEqual(JSON.parse(python.out || 'null'), { sctp: 132, udplite: 136, interfaces: ['lo', 'veth1'] }, python.err);
  t.is(git.status, 0, git.err);
  t.is(curl.status, 0, curl.err);
  t.regex(user.out, /^uid=1000\(workload\) gid=1000\(workload\)/);
  t.regex(names.out, /^sandbox\n# Name package sources here[^\n]*\n?$/);
});

test.serial('boot: a probe answers and powers off without a disk', async (t) => {
  const console = await boot(await guest(), { probe: true });
  t.true(console.split('\n').includes(consoleLines.probeOk), console);
  t.false(console.includes('REPORT'));
});

test.serial('boot: a module left out of the image is named on the console, and the guest goes on', async (t) => {
  const console = await boot(await guest(['nft_log']));
  t.true(console.includes(`${consoleLines.initPrefix}module nft_log is absent\n`), console);
  t.true(console.includes(consoleLines.supervisorEnded), console);
  t.false(/^REPORT .*"nft_log"/m.test(console));
});
