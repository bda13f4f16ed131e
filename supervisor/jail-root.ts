import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { Mounter } from '../base/index.ts';
import { workloadUser } from '../init/contract.ts';
import type { JailPlan } from '../init/jail-plan.ts';
import { workloadPaths } from './workload-layout.ts';
import { layerOptions, makeFolders, makeLayers, memoryAt } from './workload-root.ts';

/**
 * Folders at the top of the host of which the workload sees an empty one: other users' files, what runs, and data. What is
 * left are programs, libraries and settings, of which it reads what every user of the host may.
 */
const hiddenFolders: readonly string[] = [
  ...['boot', 'dev', 'home', 'lost+found', 'media', 'mnt', 'proc', 'root', 'run', 'srv', 'sys', 'tmp', 'var'],
];

const { root } = workloadPaths;

/**
 * The workload's root as the host's own, read-only: links and folders at the top, each with what is mounted below it. A mount
 * that cannot be made read-only is left out. What the workload writes, in /tmp, /var/tmp and its home, is in memory and ends
 * with the sandbox. /etc has a layer of ours above.
 *
 * When {@link closeHostRoot} was called it is read-only for the supervisor too, which as root makes a command's working
 * directory in it.
 */
export function makeHostRoot(mounter: Mounter, { uid, memoryMiB, hidden }: JailPlan): void {
  const { mount } = mounter;
  const { base } = makeFolders();
  const { links, folders } = topOfHost();
  mount(memoryAt(base, memoryMiB));
  makeLayers(base);
  const home = `${base}/home/${workloadUser.name}`;
  for (const folder of [`${base}/tmp`, `${base}/var-tmp`, home]) mkdirSync(folder, { recursive: true });
  for (const name of folders) mkdirSync(`${root}/${name}`);
  for (const folder of [`${base}/tmp`, `${base}/var-tmp`]) chmodSync(folder, 0o1777);
  chownSync(home, uid, uid);
  mount({ source: root, target: root, flags: ['bind'] });
  for (const name of links) symlinkSync(readlinkSync(`/${name}`), `${root}/${name}`);
  for (const name of folders.filter((folder) => !hiddenFolders.includes(folder))) {
    mount({ source: `/${name}`, target: `${root}/${name}`, flags: ['bind', 'recursive'] });
  }
  closeMounts(mounter);
  for (const path of hidden.filter((folder) => isFolder(`${root}${folder}`))) {
    const flags = ['readOnly', 'noSetuid', 'noDevices'] as const;
    mount({ source: 'tmpfs', target: `${root}${path}`, type: 'tmpfs', flags, options: 'mode=0700,size=4k' });
  }
  const empty = ['var/cache', 'var/lib', 'var/log', 'var/tmp', 'tmp', 'home', 'root'];
  for (const name of empty) mkdirSync(`${root}/${name}`, { recursive: true });
  symlinkSync('/run', `${root}/var/run`);
  for (const [name, place] of [
    ['tmp', 'tmp'],
    ['var-tmp', 'var/tmp'],
    ['home', 'home'],
  ] as const) {
    mount({ source: `${base}/${name}`, target: `${root}/${place}`, flags: ['bind'] });
  }
  const flags = ['noSetuid', 'noDevices'] as const;
  mount({ source: 'overlay', target: `${root}/etc`, type: 'overlay', flags, options: layerOptions('/etc', base) });
  const { name, uid: id, home: own } = workloadUser;
  writeUsers('passwd', `${name}:x:${id}:${id}:${name}:${own}:/bin/sh`);
  writeUsers('group', `${name}:x:${id}:`);
}

/** Of the host's own files nothing is left to be written. Comes last, when all that we write there is written. */
export function closeHostRoot({ mount }: Mounter): void {
  for (const target of [`${root}/etc`, root]) mount(readOnlyAt(target, ''));
}

/** What stands in the root folder of the host. Names that a list of mounts would write otherwise are left out. */
function topOfHost(): { readonly links: readonly string[]; readonly folders: readonly string[] } {
  const names = readdirSync('/').filter((name) => /^[A-Za-z0-9_+-][A-Za-z0-9._+-]*$/.test(name));
  const kind = (name: string) => lstatSync(`/${name}`, { throwIfNoEntry: false });
  return {
    links: names.filter((name) => kind(name)?.isSymbolicLink() === true),
    folders: names.filter((name) => kind(name)?.isDirectory() === true),
  };
}

/** Makes each mount of the host that came along read-only; takes it away where that is refused. */
function closeMounts({ mount, detach }: Mounter): void {
  for (const { target, options } of mountsBelow(root)) {
    try {
      mount(readOnlyAt(target, options));
    } catch {
      detach(target);
    }
  }
}

/** A change of a mount sets all that can be set of it: what it must not have had before, it must not get. */
function readOnlyAt(target: string, options: string): Parameters<Mounter['mount']>[0] {
  const flags = ['remount', 'bind', 'readOnly', 'noSetuid', 'noDevices'] as const;
  const isNoExec = options.split(',').includes('noexec');
  return { source: 'none', target, flags: isNoExec ? [...flags, 'noExec'] : flags };
}

/** The mounts below a folder, each after the one that it is mounted on. Source: proc_pid_mountinfo(5). */
function mountsBelow(folder: string): readonly { readonly target: string; readonly options: string }[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .map(([, , , , target = '', options = '']) => ({ target: unescaped(target), options }))
    .filter(({ target }) => target.startsWith(`${folder}/`));
}

/** The kernel writes a space, a tab, a newline and a backslash as three octal digits. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** The host's list without who has the number of the workload's user, and that one. */
function writeUsers(name: 'passwd' | 'group', line: string): void {
  const others = readFileSync(`/etc/${name}`, 'utf8')
    .split('\n')
    .filter((other) => other !== '' && other.split(':')[2] !== String(workloadUser.uid));
  rmSync(`${root}/etc/${name}`, { force: true });
  writeFileSync(`${root}/etc/${name}`, `${[...others, line].join('\n')}\n`, { mode: 0o644 });
}
