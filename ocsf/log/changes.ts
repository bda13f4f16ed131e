import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Tells when a log or one of its files may have changed. */
export type LogChanges = {
  /** Resolves after a change that came since the last call, after {@link pollMs} without one, and when it is closed. */
  readonly wait: () => Promise<void>;
  readonly close: () => void;
};

/** Milliseconds between two looks at a file that no change was told of: not every file system tells. */
const pollMs = 1000;

/** Watches the folder of the log `path`, which need not be there yet. */
export function watchLog(path: string, signal?: AbortSignal): LogChanges {
  let watcher: FSWatcher | undefined;
  let changed = false;
  let closed = false;
  let wake: (() => void) | undefined;
  const note = (): void => {
    changed = true;
    wake?.();
  };
  const drop = (): void => {
    watcher?.close();
    watcher = undefined;
  };
  const begin = (): void => {
    try {
      watcher = watch(dirname(path), { persistent: false }, (_type, name) => {
        if (name === null || name.startsWith(basename(path))) note();
      });
      watcher.on('error', drop);
    } catch {
      // The folder is not there, or the kernel has no watch left: the poll sees what changes.
      drop();
    }
  };
  const close = (): void => {
    closed = true;
    signal?.removeEventListener('abort', close);
    drop();
    wake?.();
  };
  signal?.addEventListener('abort', close, { once: true });
  if (signal?.aborted === true) close();
  else begin();
  return {
    close,
    wait: async () => {
      if (watcher === undefined && !closed) begin();
      if (!changed && !closed) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, pollMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        wake = undefined;
      }
      changed = false;
    },
  };
}
