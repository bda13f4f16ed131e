import { randomBytes } from 'node:crypto';
import { isAbsolute, join, resolve } from 'node:path';
import { checkSandboxId, defaultRotation, type ExecRequest } from '../../driver-vm/index.ts';
import type { FsyncPolicy, Rotation } from '../../ocsf/index.ts';
import type { Context } from '../context.ts';
import { readNumber, readOptions, readWord, usage } from '../options.ts';

/** How large a guest is where nobody says. */
export const defaultSize = { cpus: 1, memoryMiB: 512 } as const;

/** What a command line of `tapwarden run` asks for. */
export type RunOptions = {
  readonly id: string;
  readonly policyFile: string | undefined;
  readonly allow: readonly string[];
  readonly jail: boolean;
  /** `undefined`: the default image, or in a jail the host's own root. */
  readonly image: string | undefined;
  /** Whether a guest that has booted before may be restored instead of a boot. */
  readonly restore: boolean;
  readonly cpus: number;
  readonly memoryMiB: number;
  /** Limits that were asked for on the command line. */
  readonly limits: readonly ('cpu' | 'memory')[];
  readonly exec: ExecRequest;
  readonly timeoutMs: number | undefined;
  readonly eventsFile: string;
  readonly rotation: Rotation;
  readonly fsync: FsyncPolicy;
  readonly resultFile: string | undefined;
  readonly allowUnlogged: boolean;
  readonly audit: boolean;
  readonly canarySeconds: number;
  readonly quiet: boolean;
};

/**
 * Reads the words behind `tapwarden run`.
 *
 * @throws USAGE_INVALID, NAME_INVALID
 */
export function readRunOptions(context: Context, args: readonly string[]): RunOptions {
  const split = args.indexOf('--');
  const own = split === -1 ? args : args.slice(0, split);
  const { values } = readOptions('run', own, {
    policy: { type: 'string' },
    allow: { type: 'string', multiple: true },
    jail: { type: 'boolean' },
    image: { type: 'string' },
    'fresh-boot': { type: 'boolean' },
    cpus: { type: 'string' },
    memory: { type: 'string' },
    id: { type: 'string' },
    env: { type: 'string', multiple: true },
    workdir: { type: 'string' },
    timeout: { type: 'string' },
    events: { type: 'string' },
    'events-max-size': { type: 'string' },
    'events-keep': { type: 'string' },
    fsync: { type: 'string' },
    result: { type: 'string' },
    'allow-unlogged': { type: 'boolean' },
    'no-audit': { type: 'boolean' },
    canary: { type: 'string' },
    quiet: { type: 'boolean' },
  });
  const argv = split === -1 ? [] : args.slice(split + 1);
  if (argv.length === 0)
    throw usage("there is no command: it stands behind '--', as in 'tapwarden run -- true'", 'run');
  if (argv[0] === '') throw usage('the command is an empty word', 'run');
  const workdir = values.workdir ?? null;
  if (workdir !== null && (!isAbsolute(workdir) || workdir.length > 4096)) {
    throw usage(`--workdir takes an absolute path of the sandbox, not '${workdir}'`, 'run');
  }
  const id = checkSandboxId(values.id ?? randomBytes(5).toString('hex'));
  const timeout = readNumber('run', '--timeout', values.timeout, { min: 1, max: 31_536_000, unit: 'seconds' });
  return {
    id,
    policyFile: values.policy,
    allow: values.allow ?? [],
    jail: values.jail ?? false,
    image: values.image,
    restore: !(values['fresh-boot'] ?? false),
    cpus: readNumber('run', '--cpus', values.cpus, { min: 1, max: 64, unit: 'processors' }) ?? defaultSize.cpus,
    memoryMiB:
      readNumber('run', '--memory', values.memory, { min: 256, max: 65_536, unit: 'MiB' }) ?? defaultSize.memoryMiB,
    limits: [
      ...(values.cpus === undefined ? [] : ['cpu' as const]),
      ...(values.memory === undefined ? [] : ['memory' as const]),
    ],
    exec: { argv, env: readEnvironment(context, values.env ?? []), workdir },
    timeoutMs: timeout === undefined ? undefined : timeout * 1000,
    eventsFile: resolve(values.events ?? join(context.paths.stateDir, 'events', `${id}.jsonl`)),
    rotation: readRotation(values['events-max-size'], values['events-keep']),
    fsync: readWord('run', '--fsync', values.fsync, ['always', 'interval', 'never']) ?? 'interval',
    resultFile: values.result,
    allowUnlogged: values['allow-unlogged'] ?? false,
    audit: !(values['no-audit'] ?? false),
    canarySeconds: readNumber('run', '--canary', values.canary, { min: 1, max: 3600, unit: 'seconds' }) ?? 30,
    quiet: values.quiet ?? false,
  };
}

function readRotation(size: string | undefined, keep: string | undefined): Rotation {
  const mebibytes = readNumber('run', '--events-max-size', size, { min: 1, max: 1_048_576, unit: 'MiB' });
  const files = readNumber('run', '--events-keep', keep, { min: 1, max: 100_000, unit: 'files' });
  return {
    maxBytes: mebibytes === undefined ? defaultRotation.maxBytes : mebibytes * 1024 * 1024,
    retention: files === undefined ? { ...defaultRotation.retention } : { files },
  };
}

function readEnvironment(context: Context, words: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    words.map((word) => {
      const [, name, , value] = /^([A-Za-z_][A-Za-z0-9_]*)(=([^\0]*))?$/s.exec(word) ?? [];
      if (name === undefined) throw usage(`--env takes NAME=VALUE or NAME, not '${word.slice(0, 80)}'`, 'run');
      const found = value ?? context.env[name];
      if (found === undefined) throw usage(`--env ${name}: this shell has no such variable`, 'run');
      return [name, found];
    }),
  );
}
