import { isTapwardenError, messageOf, plural, quoteText, sanitizeText } from '../base/index.ts';
import type { RunSummary } from '../driver-vm/index.ts';
import type { Context } from './context.ts';

/** Steps that are said on a terminal alone, where the next one takes their place. */
const shortSteps: readonly string[] = ['starting the guest', 'starting the jail'];

/** What a run says on standard error while and after it runs. */
export class Progress {
  readonly #context: Context;
  readonly #quiet: boolean;
  readonly #begun = Date.now();
  #drawn = false;

  constructor(context: Context, quiet: boolean) {
    this.#context = context;
    this.#quiet = quiet;
  }

  /** A step has begun: drawn over the last one on a terminal, a line of its own elsewhere, if it is a long one. */
  step(line: string): void {
    if (this.#quiet) return;
    if (this.#context.interactive) {
      this.#context.stderr.write(`\r\x1b[Ktapwarden: ${line} (${Math.round((Date.now() - this.#begun) / 1000)} s)`);
      this.#drawn = true;
    } else if (!shortSteps.includes(line)) this.say(line);
  }

  /** A line that stays. */
  say(line: string): void {
    if (this.#quiet) return;
    this.clear();
    this.#context.stderr.write(`tapwarden: ${line}\n`);
  }

  /** Takes the drawn step away, before somebody else writes. */
  clear(): void {
    if (this.#drawn) this.#context.stderr.write('\r\x1b[K');
    this.#drawn = false;
  }

  /** What the caller must know to read the record rightly; not held back by --quiet. */
  warn(line: string): void {
    this.clear();
    this.#context.stderr.write(`tapwarden: warning: ${line}\n`);
  }

  /** An error that ends the run; not held back by --quiet. */
  error(error: unknown): void {
    this.clear();
    this.#context.stderr.write(renderError(error));
  }

  /** The one line that sums a run up. */
  summary(summary: RunSummary, eventsFile: string): void {
    const { allowed, denied, deniedRequests, attempts, lost, invalid, unwritten, complete, incomplete } = summary;
    const requests = `${plural(allowed, 'request')} allowed, ${deniedRequests} denied`;
    const packets = `${plural(denied, 'packet')} refused in ${plural(attempts, 'attempt')}`;
    const record =
      lost === null ? 'loss unknown' : lost === 0 ? 'each with an event' : `${lost} without an event of their own`;
    const missing = unwritten === 0 ? '' : `, ${plural(unwritten, 'event')} missing because of the disk`;
    const whole = `complete: ${complete ? 'yes' : 'no'}`;
    this.say(`${requests}; ${packets}, ${record}; ${whole}; events in ${eventsFile}${missing}`);
    for (const reason of incomplete) this.say(`not complete: ${sanitizeText(reason, 300)}`);
    if (invalid > 0) {
      const which = `${plural(invalid, 'event')} of this run ${invalid === 1 ? 'is' : 'are'} not valid OCSF`;
      this.warn(`${which}, and carried as 'event-invalid' in ${eventsFile}; please report it with those lines`);
    }
  }

  /** What was refused, why, and what to change: nothing where nothing was. That a guest is compromised is always said. */
  report({ report, bypassed }: RunSummary, eventsFile: string): void {
    if (bypassed > 0) {
      const packets = `${plural(bypassed, 'packet')} came past its fence and ${bypassed === 1 ? 'was' : 'were'} dropped by the host`;
      this.warn(`the guest is compromised: ${packets}; see the finding in ${eventsFile}`);
    }
    for (const line of report) this.say(sanitizeText(line));
    if (report.length > 0) this.say(`all of it: tapwarden events --summary --file ${quoteText(eventsFile)}`);
  }
}

/**
 * An error as a person reads it: `tapwarden: CODE: message`, and the hint below. Words of the command line and of other
 * programs may stand in it, so it is made fit to be printed.
 */
export function renderError(error: unknown): string {
  const lines = messageOf(error)
    .split('\n')
    .map((line) => sanitizeText(line, 16_384));
  if (!isTapwardenError(error)) return `tapwarden: ${lines.join('\n')}\n`;
  const [first, ...rest] = lines;
  return `tapwarden: ${error.code}: ${first}\n${rest.map((line) => `  ${line}\n`).join('')}`;
}
