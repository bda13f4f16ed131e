/**
 * A program for the kernel tests of this folder: it plays tapwarden's part on a host whose root namespace is the one that
 * it runs in, so that a test can give it a scratch namespace. Its argument is a {@link Job}, its output an {@link Answer}.
 */
import { type Argv, messageOf, type Run, run, TapwardenError, UndoStack } from '../../base/index.ts';
import type { DirectDestination } from '../../nft/index.ts';
import { parsePolicy } from '../../policy/index.ts';
import { collectGarbage } from '../gc.ts';
import type { Paths } from '../paths.ts';
import { claimSandbox, releaseSandbox, sandboxFolder } from '../sandbox-record.ts';
import { deleteSlot, makeSlot } from '../slot.ts';
import { directDestinations } from './destinations.ts';
import { poolOf } from './pool.ts';
import { closeUplink, openUplink } from './uplink.ts';

/** What to do. `policy` is YAML. `at` is the number of the command, from 0, at which something goes wrong. */
export type Job =
  | {
      readonly kind: 'open';
      readonly id: string;
      readonly policy: string;
      readonly wrong?: Wrong;
      readonly ip6ByLink?: boolean;
    }
  | { readonly kind: 'close'; readonly id: string; readonly index: number }
  | { readonly kind: 'gc' };

/** A command that fails, or at which this process dies. */
export type Wrong = { readonly how: 'fail' | 'die'; readonly at: number };

/** What came of it: the sandbox's index and the commands that were run, or the error. */
export type Answer = {
  readonly index: number;
  readonly commands: number;
  readonly warnings: readonly string[];
  readonly error?: { readonly code: string; readonly message: string };
};

const paths: Paths = { stateDir: '/run/state', runDir: '/run/tapwarden' };

async function perform(job: Job): Promise<Answer> {
  switch (job.kind) {
    case 'open':
      return await open(job);
    case 'close':
      await closeUplink(run, paths, job.index);
      await deleteSlot(run, job.id);
      await releaseSandbox(paths, job.id);
      return { index: job.index, commands: 0, warnings: [] };
    case 'gc':
      await collectGarbage(paths, run);
      return { index: -1, commands: 0, warnings: [] };
  }
}

async function open({ id, policy, wrong, ip6ByLink = true }: Extract<Job, { kind: 'open' }>): Promise<Answer> {
  const undo = new UndoStack();
  const warnings: string[] = [];
  let commands = 0;
  const counted: Run = async (argv: Argv, options) => {
    commands += 1;
    if (wrong !== undefined && commands - 1 === wrong.at) {
      if (wrong.how === 'die') process.kill(process.pid, 'SIGKILL');
      else throw new TapwardenError('COMMAND_FAILED', { message: `${argv.join(' ')} fails`, details: { stderr: '' } });
    }
    return await run(argv, options);
  };
  const pool = poolOf(process.env);
  const direct: readonly DirectDestination[] = await directDestinations(parsePolicy(policy, { file: 'test' }), pool);
  const { index } = await claimSandbox(paths, id);
  undo.push('release', async () => await releaseSandbox(paths, id));
  try {
    const slot = await makeSlot(run, { id, vmmUid: 65_534, direct }, undo);
    const onWarning = (line: string): void => void warnings.push(line);
    await openUplink(
      counted,
      { paths, pool, slot, index, direct, folder: sandboxFolder(paths, id), onWarning, ip6ByLink },
      undo,
    );
    return { index, commands, warnings };
  } catch (error) {
    await undo.unwind();
    const code = error instanceof TapwardenError ? error.code : 'none';
    return { index, commands, warnings, error: { code, message: messageOf(error) } };
  }
}

process.stdout.write(JSON.stringify(await perform(JSON.parse(process.argv[2] ?? '') as Job)));
