import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf, loadFlock, messageOf, TapwardenError } from '../base/index.ts';
// Not through the index: the table of the schema, which takes a tenth of a start, is for those who make events.
import { makeLogFolder, type PreparedLog, prepareLog } from '../ocsf/log/prepare.ts';
import { applyRetention, isRotationDue, putInPlace, type Rotation } from '../ocsf/log/rotation.ts';
import { unwritable } from '../ocsf/log/unwritable.ts';

/** When the log of a run is rotated, and what is kept: 4 GiB and what was not rotated yet. */
export const defaultRotation: Rotation = { maxBytes: 256 * 1024 * 1024, retention: { files: 16 } };

/**
 * The event log of a run, seen from the privileged side: open, locked, and rotated for the process that writes it, which
 * may open nothing in the log's folder.
 *
 * The lock is that of the hand-over folder `<path>.next`, which belongs to the open folder, so that it ends with whoever
 * holds it last, and stays when the file is rotated. In this folder the next file is made; the writer has a descriptor
 * of it, may search it and do nothing else there. Source: flock(2).
 */
export class EventsFile {
  readonly path: string;
  readonly rotation: Rotation;
  readonly nextSequence: number;
  readonly firstSequence: number;
  /** Where a torn last line of an earlier run was moved to. */
  readonly torn: string | undefined;
  /** The hand-over folder. */
  readonly folderFd: number;
  #fd: number | undefined;
  #next: { readonly fd: number; readonly firstSequence: number } | undefined;
  /** What a file that is rotated must begin behind. */
  #lastFirst: number;
  /** When the live file was begun or taken over. */
  #since = Date.now();

  private constructor(path: string, rotation: Rotation, folderFd: number, log: PreparedLog) {
    this.path = path;
    this.rotation = rotation;
    this.folderFd = folderFd;
    this.nextSequence = log.nextSequence;
    this.firstSequence = log.firstSequence;
    this.torn = log.torn;
    this.#fd = log.fd;
    this.#lastFirst = log.firstSequence - 1;
  }

  /** Opens and locks a log: see {@link openEventsFile}. */
  static async open(path: string, rotation: Rotation): Promise<EventsFile> {
    const folderFd = await lockFolder(path);
    try {
      rmSync(nextIn(folderFd), { force: true });
      return new EventsFile(path, rotation, folderFd, prepareLog(path, Date.now(), rotation));
    } catch (error) {
      rmdirSync(folderOf(path));
      closeSync(folderFd);
      throw error;
    }
  }

  /** The log, open for appending, until it is handed over. */
  get fd(): number {
    if (this.#fd === undefined) throw new TapwardenError('BUG', { message: 'The event log was handed over already' });
    return this.#fd;
  }

  /** Lets processes of the group pass through the hand-over folder. They cannot list it, nor make anything in it. */
  allow(gid: number): void {
    fchownSync(this.folderFd, -1, gid);
    fchmodSync(this.folderFd, 0o710);
  }

  /** Leaves the log to the process that has its descriptor by now. */
  handOver(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  /**
   * Makes the file that the log goes on in, which the group of the hand-over folder may write to. The writer says with
   * which event the live file begins, and is not trusted with more: a number that is none of this file, and a file that
   * need not be rotated, are refused.
   *
   * @throws EVENTS_UNWRITABLE when it is refused, or the file cannot be made
   */
  makeNext(firstSequence: number): void {
    this.#dropNext();
    const now = Date.now();
    const { size } = statSync(this.path);
    if (!isRotationDue(this.rotation, { bytes: size, lastWritten: this.#since }, now)) {
      throw unwritable(this.path, 'its writer wants it rotated, and it is not due');
    }
    const isFirst = this.#lastFirst === this.firstSequence - 1;
    if (firstSequence <= this.#lastFirst || (isFirst && firstSequence !== this.firstSequence)) {
      throw unwritable(this.path, `its writer says that it begins with event ${firstSequence}, which it cannot`);
    }
    try {
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
      const fd = openSync(nextIn(this.folderFd), flags, 0o600);
      this.#next = { fd, firstSequence };
      fchownSync(fd, -1, fstatSync(this.folderFd).gid);
      fchmodSync(fd, 0o620);
    } catch (cause) {
      this.#dropNext();
      throw unwritable(this.path, `it cannot be rotated: ${messageOf(cause)}`, cause);
    }
  }

  /**
   * Puts the file that was made in the place of the live one, takes it back from the group, and removes what is not to be
   * kept. The writer has opened it by now, and writes to the old one until it is told.
   *
   * @throws EVENTS_UNWRITABLE when it could not be put in place; the live file is as it was
   */
  putNext(): void {
    const next = this.#next;
    if (next === undefined) throw unwritable(this.path, 'its writer has no next file');
    try {
      putInPlace(this.path, nextIn(this.folderFd), next.firstSequence);
      this.#lastFirst = next.firstSequence;
      this.#since = Date.now();
      fchownSync(next.fd, process.geteuid?.() ?? 0, process.getegid?.() ?? 0);
      fchmodSync(next.fd, 0o600);
      applyRetention(this.path, this.rotation.retention ?? {}, this.#since);
    } catch (cause) {
      // Once it is in place, the log has been rotated, whatever failed after that.
      if (this.#lastFirst !== next.firstSequence) {
        throw unwritable(this.path, `it cannot be rotated: ${messageOf(cause)}`, cause);
      }
    } finally {
      this.#dropNext();
    }
  }

  /** Gives the log up, and takes the hand-over folder away, unless a process lives that still has it. */
  async close(): Promise<void> {
    this.handOver();
    this.#dropNext();
    closeSync(this.folderFd);
    await removeHandOver(this.path);
  }

  #dropNext(): void {
    if (this.#next !== undefined) closeSync(this.#next.fd);
    this.#next = undefined;
    rmSync(nextIn(this.folderFd), { force: true });
  }
}

/**
 * Opens the event log of a run: locks it, because two writers would hand out the same sequence numbers, creates it, moves
 * a torn last line of a killed run aside, and rotates it where it is due. Whoever opens it closes it.
 *
 * @throws EVENTS_UNWRITABLE when it cannot be opened, or another run writes to it
 */
export async function openEventsFile(path: string, rotation: Rotation = defaultRotation): Promise<EventsFile> {
  return await EventsFile.open(path, rotation);
}

/** How the names of hand-over folders end. */
export const handOverSuffix = '.next';

/** Takes the hand-over folder of the log `path` away, if nobody holds it; returns whether it is gone. */
export async function removeHandOver(path: string): Promise<boolean> {
  const folder = folderOf(path);
  const fd = openFolder(folder);
  if (fd === undefined) return false;
  try {
    if (!(await loadFlock())(fd) || !isStillAt(fd, folder)) return false;
    rmSync(nextIn(fd), { force: true });
    rmdirSync(folder);
    return true;
  } finally {
    closeSync(fd);
  }
}

const folderOf = (path: string): string => `${path}${handOverSuffix}`;
/** The next file, by a name that leads to the folder that is locked, whatever stands at its path. */
const nextIn = (folderFd: number): string => `/proc/self/fd/${folderFd}/next`;

async function lockFolder(path: string): Promise<number> {
  const folder = folderOf(path);
  const flock = await loadFlock();
  for (;;) {
    makeFolder(path, folder);
    const fd = openFolder(folder);
    // Whoever had it before may have taken it away just now.
    if (fd === undefined) continue;
    try {
      if (fstatSync(fd).uid !== process.geteuid?.()) throw unwritable(path, `${folder} belongs to somebody else`);
      if (!flock(fd)) {
        throw new TapwardenError('EVENTS_UNWRITABLE', {
          message: `The event log ${path} is in use by another run`,
          hint: 'Give each run a file of its own with --events.',
        });
      }
      if (isStillAt(fd, folder)) return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    closeSync(fd);
  }
}

function makeFolder(path: string, folder: string): void {
  try {
    makeLogFolder(dirname(path));
    mkdirSync(folder, { mode: 0o700 });
  } catch (cause) {
    if (errnoOf(cause) !== 'EEXIST') throw unwritable(path, messageOf(cause), cause);
  }
}

function openFolder(folder: string): number | undefined {
  try {
    return openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    throw unwritable(folder, messageOf(cause), cause);
  }
}

function isStillAt(fd: number, folder: string): boolean {
  try {
    const [held, found] = [fstatSync(fd), lstatSync(folder)];
    return held.dev === found.dev && held.ino === found.ino;
  } catch {
    return false;
  }
}
