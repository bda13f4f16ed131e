import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { type Argv, type RunResult, run } from '../../base/index.ts';
import { probes } from '../../nft/index.ts';
import type { Finding } from '../doctor/finding.ts';
import { packageRoot } from '../package-info.ts';

const doctor = ['bin/tapwarden.js', 'doctor'] as const;

type Places = { readonly stateDir: string; readonly runDir: string };

async function places(t: ExecutionContext): Promise<Places> {
  const { path, cleanup } = await dir({ prefix: 'tapwarden-doctor-', unsafeCleanup: true });
  t.teardown(cleanup);
  return { stateDir: join(path, 'state'), runDir: join(path, 'run') };
}

/** Runs `command` with Node's path in front of the program, which may stand behind another program. */
async function execute({ stateDir, runDir }: Places, command: Argv, env = {}): Promise<RunResult> {
  return await run(command, {
    cwd: packageRoot,
    okStatuses: [0, 1],
    env: { TAPWARDEN_STATE_DIR: stateDir, TAPWARDEN_RUN_DIR: runDir, ...env },
  });
}

const levels = (findings: readonly Finding[]): Readonly<Record<string, string>> =>
  Object.fromEntries(findings.map(({ what, level }) => [what, level]));

test('tapwarden doctor: as root it tries each thing and leaves nothing', async (t) => {
  const where = await places(t);
  const before = await stateOfHost();
  const { status, stdout } = await execute(where, [process.execPath, ...doctor, '--json']);
  const findings = JSON.parse(stdout) as readonly Finding[];
  const found = levels(findings);
  for (const what of [
    'root',
    'node',
    'machine',
    'programs',
    'qemu',
    'tun',
    'slot table',
    'confinement',
    'jail',
    'disk',
  ]) {
    t.is(found[what], 'ok', `${what}: ${JSON.stringify(findings.find((finding) => finding.what === what))}`);
  }
  for (const name of Object.keys(probes)) t.is(found[`nft ${name}`], 'ok', name);
  t.is(found['guest image'], 'warn', 'the state directory is empty');
  t.is(found['workload image'], 'warn');
  t.is(status, 0);
  t.deepEqual(await readdir(join(where.stateDir, '..')), [], 'no folder was made');
  t.deepEqual(await stateOfHost(), before);
});

test('tapwarden doctor: a user who is not root learns that, and what was not looked at; the status is 1', async (t) => {
  const where = await places(t);
  const { status, stdout } = await execute(where, [
    ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
    ...[process.execPath, ...doctor],
  ] as unknown as Argv);
  t.regex(stdout, /^missing {2}root +running as user 65534\n +> Use sudo/m);
  for (const what of ['kernel', 'jail', 'images', 'kvm', 'leftovers']) {
    t.regex(stdout, new RegExp(`^warn +${what} +not looked at: that needs root$`, 'm'));
  }
  t.regex(stdout, /\nSandboxes cannot run here\. Missing: root\.\n$/);
  t.is(status, 1);
});

test('tapwarden doctor: what the host lacks is named, with the package to install', async (t) => {
  const where = await places(t);
  // A mount namespace in which three programs and the device are away; it ends with the command.
  const hide = [
    'mount -t tmpfs tmpfs /mnt; for name in nft qemu-system-x86_64 mmdebstrap; do',
    'file=$(command -v $name); : >/mnt/$name; mount --bind /mnt/$name "$file"; done;',
    'mount --bind /mnt/nft /dev/net/tun; exec "$@"',
  ].join(' ');
  const { status, stdout } = await execute(where, [
    ...['unshare', '--mount', 'sh', '-euc', hide, 'sh', process.execPath],
    ...[...doctor, '--json'],
  ] as unknown as Argv);
  const findings = JSON.parse(stdout) as readonly Finding[];
  const found = levels(findings);
  for (const what of ['nft', 'qemu-system-x86_64', 'mmdebstrap', 'tun', 'slot table']) {
    t.is(found[what], 'missing', what);
  }
  const todo = (what: string): string => findings.find((finding) => finding.what === what)?.todo ?? '';
  t.is(todo('nft'), 'Install it: apt-get install nftables');
  t.is(todo('qemu-system-x86_64'), 'Install it: apt-get install qemu-system-x86');
  t.regex(todo('tun'), /modprobe tun/);
  t.is(status, 1);
});

/** What a doctor with side effects would have changed in the root namespace. */
async function stateOfHost(): Promise<readonly string[]> {
  const tables = await run(['nft', 'list', 'tables']);
  const links = await run(['ip', '-brief', 'link']);
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  // Sandboxes of other programs come and go meanwhile.
  const interesting = (line: string): boolean => !/\btw|veth|tapwarden_host/.test(line);
  return [tables.stdout, links.stdout, mounts].map((text) => text.split('\n').filter(interesting).join('\n'));
}
