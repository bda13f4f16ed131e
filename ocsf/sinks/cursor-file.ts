import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf, messageOf, TapwardenError } from '../../base/index.ts';
import type { LogPosition } from '../log/reader.ts';

/** How a cursor is kept. */
export type CursorOptions = {
  /** The receiver's name; a cursor of another receiver is refused. */
  readonly sink: string;
  /** Milliseconds between two savings at least. After a crash, what was sent since the last one is sent again. @default 500 */
  readonly intervalMs?: number;
  /** Called when saving fails while the shipper runs; the next movement tries again. */
  readonly onProblem: (problem: string) => void;
};

/**
 * The file that says how far a receiver has taken a log: one JSON object,
 * `{"format":"tapwarden-cursor","version":1,"sink":"https://…","position":{"file":"5f0c…","offset":3120,"line":1}}`, mode 0600, replaced as a whole, so that
 * it holds an old position or a new one and nothing between, whenever the power fails.
 */
export class CursorFile {
  readonly #path: string;
  readonly #options: CursorOptions;
  #latest: LogPosition | undefined;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(path: string, options: CursorOptions) {
    this.#path = path;
    this.#options = options;
  }

  /**
   * The position that was saved; `undefined` where there is no file yet.
   *
   * @throws CURSOR_INVALID when the file is no cursor, or belongs to another receiver
   * @throws FILE_UNREADABLE when it cannot be read
   */
  async load(): Promise<LogPosition | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') return undefined;
      throw new TapwardenError('FILE_UNREADABLE', { message: `Cannot read the cursor: ${messageOf(cause)}`, cause });
    }
    return positionIn(text, this.#path, this.#options.sink);
  }

  /** All before `position` is acknowledged or passed over for good. It is saved soon. */
  moved(position: LogPosition): void {
    this.#latest = position;
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#saving = this.#saving
        .then(() => this.#save())
        .catch((error: unknown) => this.#options.onProblem(messageOf(error)));
    }, this.#options.intervalMs ?? 500);
  }

  /**
   * Saves what was not saved yet.
   *
   * @throws FILE_UNREADABLE when it cannot be written
   */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#saving;
    await this.#save();
  }

  async #save(): Promise<void> {
    const position = this.#latest;
    if (position === undefined) return;
    const content = { format: 'tapwarden-cursor', version: 1, sink: this.#options.sink, position };
    try {
      await replaceFile(this.#path, `${JSON.stringify(content)}\n`);
    } catch (cause) {
      throw new TapwardenError('FILE_UNREADABLE', {
        message: `Cannot write the cursor: ${messageOf(cause)}`,
        hint: 'The receiver has what was sent; without the cursor the next run sends it again.',
        cause,
      });
    }
    if (this.#latest === position) this.#latest = undefined;
  }
}

function positionIn(text: string, path: string, sink: string): LogPosition {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw bad(path, 'is no JSON', cause);
  }
  const { format, version, sink: owner, position } = (content ?? {}) as Readonly<Record<string, unknown>>;
  if (format !== 'tapwarden-cursor' || version !== 1 || !isPosition(position)) {
    throw bad(path, 'does not have the form of a cursor');
  }
  if (owner !== sink) throw bad(path, `belongs to ${String(owner).slice(0, 200)}, not to ${sink}`);
  return position;
}

function isPosition(value: unknown): value is LogPosition {
  if (typeof value !== 'object' || value === null) return false;
  const { file, offset, line, sequence } = value as Readonly<Record<string, unknown>>;
  const counts = [offset, line, sequence ?? 0];
  return typeof file === 'string' && counts.every((count) => Number.isSafeInteger(count) && Number(count) >= 0);
}

function bad(path: string, problem: string, cause?: unknown): TapwardenError {
  return new TapwardenError('CURSOR_INVALID', {
    message: `The cursor ${path} ${problem}`,
    hint: 'Name another file, or move this one away to send the log from its beginning.',
    details: { path },
    cause,
  });
}

async function replaceFile(path: string, content: string): Promise<void> {
  const draft = `${path}.new`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
