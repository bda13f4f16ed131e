import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until a condition holds; after 10 s it goes on all the same, and the assertion behind it says what is missing. */
export async function until(holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !holds() && Date.now() < deadline; ) await sleep(5);
}
