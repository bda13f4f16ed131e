const lookMs = 500;
/** Looks without progress after which somebody is said to stand still. */
const maxIdle = 4;

/**
 * Calls `giveUp` when nothing has come for 2 s, by a number that grows with what comes. Under load what is waited for
 * stands behind much else, and the time of this process may be short: neither is a reason to give up. Each look is followed
 * by a turn of the event loop, so that what has come by then is read before the next one.
 *
 * Returns what ends the watch.
 */
export function onStall(progress: () => number, giveUp: () => void): () => void {
  let [idle, seen] = [0, progress()];
  const timer = setInterval(() => {
    const now = progress();
    idle = now === seen ? idle + 1 : 0;
    seen = now;
    if (idle < maxIdle) return;
    clearInterval(timer);
    giveUp();
  }, lookMs);
  return () => clearInterval(timer);
}
