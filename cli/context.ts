import type { Writable } from 'node:stream';
import type { Paths } from '../driver-vm/index.ts';

/** What a command gets from the world. */
export type Context = {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly paths: Paths;
  /** Whether standard error is a terminal, where progress may be drawn. */
  readonly interactive: boolean;
};

/** A command of the command line. */
export type Command = {
  /** The text of `tapwarden help NAME`. */
  readonly help: string;
  /** Runs it with the arguments after its name and returns the exit status. */
  readonly run: (context: Context, args: readonly string[]) => Promise<number>;
};

/** Exit status when tapwarden itself failed, so that it is told from a command's own; as docker-run(1) has it. */
export const ownFailure = 125;
