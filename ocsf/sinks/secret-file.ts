import { readFile, stat } from 'node:fs/promises';
import { messageOf, TapwardenError } from '../../base/index.ts';

/** A secret in a file, read anew when the file changes, so that a rotated one is used without a restart. */
export class SecretFile {
  readonly #path: string;
  #seen: { readonly mark: string; readonly secret: string } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * The secret as it is now, without white space around it.
   *
   * @throws FILE_UNREADABLE when it cannot be read
   * @throws SINK_INVALID when it is empty, or holds what no HTTP header may hold
   */
  async read(): Promise<string> {
    try {
      const { mtimeMs, ino, size } = await stat(this.#path);
      const mark = `${ino} ${size} ${mtimeMs}`;
      if (this.#seen?.mark === mark) return this.#seen.secret;
      const secret = (await readFile(this.#path, 'utf8')).trim();
      if (!/^[\x21-\x7e]+$/.test(secret)) throw unusable(this.#path);
      this.#seen = { mark, secret };
      return secret;
    } catch (cause) {
      if (cause instanceof TapwardenError) throw cause;
      throw new TapwardenError('FILE_UNREADABLE', { message: `Cannot read the token: ${messageOf(cause)}`, cause });
    }
  }

  /** The next {@link SecretFile.read} reads the file whether it seems changed or not. */
  forget(): void {
    this.#seen = undefined;
  }
}

function unusable(path: string): TapwardenError {
  return new TapwardenError('SINK_INVALID', {
    message: `The token file ${path} must hold one word of printable ASCII characters`,
  });
}
