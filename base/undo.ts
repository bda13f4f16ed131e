/** One step that takes something back, named for error messages: `{name: 'delete namespace tw-a', run}`. */
export type UndoStep = { readonly name: string; readonly run: () => Promise<void> | void };

/**
 * A stack of steps that take back what was set up, run last in, first out.
 *
 * Every step runs, whatever the others did; what failed is thrown together at the end. A second call of
 * {@link UndoStack.unwind} runs only what was pushed since, so that a signal handler and a `finally` may both call it.
 */
export class UndoStack {
  readonly #steps: UndoStep[] = [];

  /** Registers the step that takes back what was just done. Register it before doing it where doing it can half fail. */
  push(name: string, run: UndoStep['run']): void {
    this.#steps.push({ name, run });
  }

  /** The number of steps that have not run. */
  get size(): number {
    return this.#steps.length;
  }

  /**
   * Runs all steps, newest first.
   *
   * @throws AggregateError when steps failed, with one error for each, after all steps have run
   */
  async unwind(): Promise<void> {
    const errors: Error[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.run();
      } catch (cause) {
        errors.push(
          new Error(`Cannot ${step.name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause }),
        );
      }
    }
    if (errors.length > 0) {
      throw new AggregateError(errors, errors.map((error) => error.message).join('\n'));
    }
  }
}
