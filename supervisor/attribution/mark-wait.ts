const lookMs = 500;
/** Looks without progress after which somebody is said to stand still, and after so many with progress a mark is made again. */
const someLooks = 4;
/** Whatever comes: so long nobody waits. */
const maxLooks = 60;

/** What one waits for. */
export type Awaited = {
  /** A number that grows with what comes. */
  readonly progress: () => number;
  /** Makes another mark like the one that is waited for, which may be lost. */
  readonly again: () => void;
  readonly giveUp: () => void;
};

/**
 * Waits for a mark: gives up when nothing has come for 2 s. Under load what is waited for stands behind much else, and the
 * time of this process may be short: neither is a reason to give up. Each look is followed by a turn of the event loop, so
 * that what has come by then is read before the next one.
 *
 * Returns what ends the wait.
 */
export function awaitMark({ progress, again, giveUp }: Awaited): () => void {
  let [looks, idle, seen] = [0, 0, progress()];
  const timer = setInterval(() => {
    const now = progress();
    looks += 1;
    idle = now === seen ? idle + 1 : 0;
    seen = now;
    if (idle >= someLooks || looks >= maxLooks) {
      clearInterval(timer);
      giveUp();
    } else if (looks % someLooks === 0) again();
  }, lookMs);
  return () => clearInterval(timer);
}
