import type { ProcessEvent } from './attribution/process-events.ts';
import { endOfWaitStatus, type ProcessEnd } from './process-accounting.ts';

/** How far below the supervisor processes are followed: bwrap, process 1 of its sandbox, the command. */
const commandDepth = 3;

type Known = { readonly parent: number; readonly depth: number; executed: boolean };

/**
 * How commands ended, by the kernel's process events, where nobody else tells: bubblewrap answers 128+n for a command that
 * signal n ended, and so does a command that exits with 128+n. Process 1 of a sandbox executes one program, the command.
 */
export class CommandEnds {
  readonly #root: number;
  readonly #known = new Map<number, Known>();
  readonly #ends = new Map<number, ProcessEnd>();

  /** `root` is the pid of the supervisor. */
  constructor(root: number) {
    this.#root = root;
  }

  /** Takes an event; those of processes further below, of which there may be many, are passed over. */
  take(event: ProcessEvent): void {
    if (event.kind === 'fork') {
      const depth = event.parent === this.#root ? 0 : this.#known.get(event.parent)?.depth;
      if (depth === undefined || depth >= commandDepth) return;
      this.#known.set(event.child, { parent: event.parent, depth: depth + 1, executed: false });
      return;
    }
    if (event.kind !== 'exec' && event.kind !== 'exit') return;
    const known = this.#known.get(event.pid);
    if (known === undefined) return;
    if (event.kind === 'exec') {
      known.executed = true;
      return;
    }
    this.#known.delete(event.pid);
    if (known.depth === commandDepth && known.executed) this.#ends.set(known.parent, endOfWaitStatus(event.status));
  }

  /** How the command of a sandbox ended, once, by the pid of its process 1; `undefined` where it was not seen. */
  takeEnd(sandbox: number): ProcessEnd | undefined {
    const end = this.#ends.get(sandbox);
    this.#ends.delete(sandbox);
    return end;
  }
}
