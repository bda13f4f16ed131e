import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until a condition holds; after `withinMs` milliseconds it goes on all the same, and the assertion behind it says
 * what is missing.
 */
export async function until(holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  for (const deadline = Date.now() + withinMs; !(await holds()) && Date.now() < deadline; ) await sleep(5);
}

/** Whether something comes true within 0.4 s, for what must not happen as well. */
export async function comesTrue(happened: () => boolean | Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 20; tries += 1) {
    if (await happened()) return true;
    await sleep(20);
  }
  return false;
}
