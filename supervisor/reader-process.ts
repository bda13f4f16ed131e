import { createInterface } from 'node:readline';
import { type Argv, type Child, type ErrorCode, errorCodes, start, TapwardenError } from '../base/index.ts';
import type { Change, ReaderLine, Reading, ReadingRequest } from './fence-reading.ts';

type Waiting = {
  readonly onChanges: (changes: readonly Change[]) => void;
  readonly resolve: (reading: Reading) => void;
  readonly reject: (error: Error) => void;
};

/** The supervisor's end of the reader: see fence-reader.ts. One question at a time. */
export class ReaderProcess {
  readonly #child: Child;
  #waiting: Waiting | undefined;
  #ended = false;

  /** Starts it: `argv` puts Node and the reader into the workload's network namespace. */
  constructor(argv: Argv) {
    const child = start(argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child = child;
    const { stdin, stdout } = child.process;
    // It may be gone by the time it is asked; that it ended is what counts.
    stdin?.on('error', () => undefined);
    if (stdout !== null) createInterface({ input: stdout }).on('line', (line) => this.#take(line));
    void child.ended.then(() => {
      this.#ended = true;
      this.#fail(new TapwardenError('NFT_UNREADABLE', { message: 'The reader of the fence has ended' }));
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Reads the fence. `onChanges` is called with what is new of the sets, before the call is done.
   *
   * @throws NFT_NOT_FOUND when the fence, or a set of it, is gone
   * @throws NFT_UNREADABLE when it cannot be read, or the reader has ended
   */
  async read(request: ReadingRequest, onChanges: Waiting['onChanges']): Promise<Reading> {
    if (this.#ended) throw new TapwardenError('NFT_UNREADABLE', { message: 'The reader of the fence has ended' });
    return await new Promise((resolve, reject) => {
      this.#waiting = { onChanges, resolve, reject };
      this.#child.process.stdin?.write(`${JSON.stringify(request)}\n`);
    });
  }

  async stop(): Promise<void> {
    this.#child.process.kill('SIGKILL');
    await this.#child.ended;
  }

  #take(text: string): void {
    const line = JSON.parse(text) as ReaderLine;
    if ('changes' in line) return this.#waiting?.onChanges(line.changes);
    if ('error' in line) {
      const code = Object.hasOwn(errorCodes, line.error.code) ? (line.error.code as ErrorCode) : 'BUG';
      return this.#fail(new TapwardenError(code, { message: line.error.message }));
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(line.reading);
  }

  #fail(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }
}
