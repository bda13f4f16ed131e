import { lstat, open, readlink } from 'node:fs/promises';
import { posix } from 'node:path';
import { errnoOf } from '../base/index.ts';

/** What a command name leads to in the workload's root. */
export type CommandLookup =
  | { readonly kind: 'found'; readonly path: string }
  | { readonly kind: 'not-found'; readonly reason: string }
  | { readonly kind: 'not-executable'; readonly reason: string };

const maxLinks = 40;

/**
 * Resolves a path inside `root` as a process would that has `root` as its root directory: no link leads out of it.
 * Returns the path on this side, or `undefined` when a part of it does not exist. Source: path_resolution(7).
 */
export async function resolveIn(root: string, path: string): Promise<string | undefined> {
  const rest = path.split('/').filter((part) => part !== '' && part !== '.');
  let resolved: string[] = [];
  let links = 0;
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    if (part === '..') {
      resolved.pop();
      continue;
    }
    const here = posix.join(root, ...resolved, part);
    const target = await readlink(here).catch((error: unknown) => (errnoOf(error) === 'EINVAL' ? null : undefined));
    if (target === undefined) return undefined;
    if (target === null) {
      resolved.push(part);
      continue;
    }
    links += 1;
    if (links > maxLinks) return undefined;
    if (target.startsWith('/')) resolved = [];
    rest.unshift(...target.split('/').filter((piece) => piece !== '' && piece !== '.'));
  }
  return posix.join(root, ...resolved);
}

/**
 * Finds the program that a shell would run for `command`: as a path when it holds a slash, else along `searchPath`.
 * A script's interpreter must exist too. `root` is the workload's root directory as seen from here.
 */
export async function findCommand(
  root: string,
  command: string,
  options: { readonly searchPath: string; readonly workdir: string; readonly uid: number },
): Promise<CommandLookup> {
  // Not normalised: `link/..` is not where `link` stands, and only the kernel's walk knows.
  const from = (path: string): string => (path.startsWith('/') ? path : `${options.workdir}/${path}`);
  const candidates = command.includes('/')
    ? [from(command)]
    : options.searchPath.split(':').map((folder) => from(`${folder === '' ? '.' : folder}/${command}`));
  let refused: CommandLookup | undefined;
  for (const candidate of candidates) {
    const lookup = await examine(root, candidate, options.uid);
    if (lookup.kind === 'found') return lookup;
    if (lookup.kind === 'not-executable') refused ??= lookup;
  }
  return (
    refused ?? {
      kind: 'not-found',
      reason: command.includes('/') ? 'no such file in the image' : `not found in PATH (${options.searchPath})`,
    }
  );
}

async function examine(root: string, path: string, uid: number): Promise<CommandLookup> {
  const real = await resolveIn(root, path);
  const stat = real === undefined ? undefined : await lstat(real).catch(() => undefined);
  if (real === undefined || stat === undefined) return { kind: 'not-found', reason: 'no such file in the image' };
  if (!stat.isFile())
    return { kind: 'not-executable', reason: stat.isDirectory() ? 'it is a directory' : 'it is no file' };
  const bit = stat.uid === uid ? 0o100 : 0o001;
  if ((stat.mode & bit) === 0) return { kind: 'not-executable', reason: 'it has no execute permission' };
  const interpreter = await interpreterOf(real);
  if (interpreter !== undefined && (await resolveIn(root, interpreter)) === undefined) {
    return { kind: 'not-executable', reason: `its interpreter ${interpreter} is not in the image` };
  }
  return { kind: 'found', path };
}

/** The interpreter that a script's first line names. Source: execve(2), Interpreter scripts. */
async function interpreterOf(path: string): Promise<string | undefined> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(256), 0, 256, 0);
    const line = buffer.subarray(0, bytesRead).toString('latin1').split('\n')[0] ?? '';
    return /^#![ \t]*(\/[^ \t]*)/.exec(line)?.[1];
  } finally {
    await file.close();
  }
}
