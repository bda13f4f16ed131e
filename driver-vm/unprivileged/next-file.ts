import { closeSync, constants, openSync } from 'node:fs';
import type { Rotate } from '../../ocsf/index.ts';
import type { ChildMessage, ParentMessage } from '../shared/ipc.ts';

/** What the privileged process says of a rotation. */
type RotationMessage = Extract<ParentMessage, { readonly kind: 'next' | 'rotated' | 'unrotated' }>;

/**
 * Gets the files that a log goes on in from the privileged process, since this one may open none in the log's folder:
 * asks for one, opens it through the hand-over folder, and has it put in place. A rotation is in progress at a time.
 */
export class NextFile {
  readonly #folderFd: number;
  readonly #send: (message: ChildMessage) => void;
  #fd: number | undefined;
  #asked: { readonly resolve: (fd: number) => void; readonly reject: (error: Error) => void } | undefined;

  constructor(folderFd: number, send: (message: ChildMessage) => void) {
    this.#folderFd = folderFd;
    this.#send = send;
  }

  /** Resolves to the descriptor of the next file, when it stands in the place of the live one. */
  readonly rotate: Rotate = async (firstSequence) =>
    await new Promise<number>((resolve, reject) => {
      this.#asked = { resolve, reject };
      this.#send({ kind: 'rotate', firstSequence });
    });

  /** Takes an answer. One that nobody waits for is passed over. */
  onMessage(message: RotationMessage): void {
    const asked = this.#asked;
    if (asked === undefined) return;
    switch (message.kind) {
      case 'next':
        return this.#open();
      case 'rotated': {
        const fd = this.#fd;
        this.#fd = undefined;
        this.#asked = undefined;
        if (fd !== undefined) asked.resolve(fd);
        return;
      }
      case 'unrotated':
        return this.#fail(new Error(message.message));
    }
  }

  #open(): void {
    try {
      this.#fd = openSync(`/proc/self/fd/${this.#folderFd}/next`, constants.O_WRONLY | constants.O_APPEND);
      this.#send({ kind: 'opened' });
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    this.#asked?.reject(error);
    this.#asked = undefined;
  }
}
