import type { Writable } from 'node:stream';
import { assertNever, sanitizeText } from '../base/index.ts';
import type { ShipReport, ShipStatus } from '../ocsf/index.ts';

/** So many events and lines are named one by one; of the others only the number is told. */
const maxNamed = 10;

/** What `tapwarden ship` says while it runs and at its end: sentences for a person, or JSON lines. */
export class ShipProgress {
  readonly #summary: Writable;
  readonly #stderr: Writable;
  readonly #json: boolean;
  readonly #named = { dropped: 0, broken: 0 };

  /** The JSON line at the end goes to `summary`, all else to `stderr`. */
  constructor(summary: Writable, stderr: Writable, json: boolean) {
    this.#summary = summary;
    this.#stderr = stderr;
    this.#json = json;
  }

  /** Something happened on the way. */
  report(report: ShipReport): void {
    if (report.kind === 'dropped' || report.kind === 'broken') {
      this.#named[report.kind] += 1;
      if (this.#named[report.kind] > maxNamed) return;
    }
    if (this.#json) this.#stderr.write(`${JSON.stringify(report)}\n`);
    else this.#say(sentenceOf(report));
    if (report.kind === 'dropped' && this.#named.dropped === maxNamed) this.#more('events that are refused');
    if (report.kind === 'broken' && this.#named.broken === maxNamed) this.#more('lines that are no events');
  }

  /** How far it is, on request. */
  status(status: ShipStatus): void {
    if (this.#json) this.#stderr.write(`${JSON.stringify({ kind: 'status', ...status })}\n`);
    else this.#say(summaryOf(status));
  }

  /** How far it came. */
  end(status: ShipStatus): void {
    if (this.#json) this.#summary.write(`${JSON.stringify({ kind: 'status', ...status })}\n`);
    else this.#say(summaryOf(status));
  }

  #more(what: string): void {
    if (!this.#json) this.#say(`more ${what} are counted, and not named`);
  }

  /** Words of the receiver and of the log may stand in it. */
  #say(line: string): void {
    this.#stderr.write(`tapwarden: ${sanitizeText(line, 2000)}\n`);
  }
}

function sentenceOf(report: ShipReport): string {
  switch (report.kind) {
    case 'retry':
      return `${report.problem}; ${report.events} events are tried again in ${(report.delayMs / 1000).toFixed(1)} s`;
    case 'recovered':
      return 'the receiver takes events again';
    case 'dropped':
      return `event ${report.uid ?? 'without uid'} was not taken: ${report.problem}`;
    case 'broken':
      return `line ${report.line} is no event: ${report.problem}`;
    case 'notice':
      return report.message;
    case 'cursor':
      return `the cursor was not saved: ${report.problem}`;
    default:
      return assertNever(report);
  }
}

function summaryOf({ state, read, sent, retried, dropped, broken, queued }: ShipStatus): string {
  return `${state}: ${read} lines read, ${sent} events sent, ${retried} retried, ${dropped} refused, ${broken} broken, ${queued} on their way`;
}
