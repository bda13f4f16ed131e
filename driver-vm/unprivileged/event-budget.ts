/** How many events one sandbox may write of what its guest says. */
export type EventBudget = { readonly perSecond: number; readonly atOnce: number };

/** The budget of a sandbox. */
export const defaultBudget: EventBudget = { perSecond: 5000, atOnce: 50_000 };

/** What is left of a budget, by a clock in milliseconds. */
export class BudgetLeft {
  readonly #budget: EventBudget;
  #left: number;
  #at: number;

  constructor(budget: EventBudget, now: number) {
    this.#budget = budget;
    this.#left = budget.atOnce;
    this.#at = now;
  }

  /** Takes one, where there is one. */
  take(now: number): boolean {
    // A clock that was set back earns nothing, and takes nothing.
    const earned = (Math.max(0, now - this.#at) / 1000) * this.#budget.perSecond;
    const left = Math.min(this.#budget.atOnce, this.#left + earned);
    const within = left >= 1;
    this.#left = within ? left - 1 : left;
    this.#at = now;
    return within;
  }
}
