import { type EventPath, safeText, someValue } from '../../ocsf/index.ts';

/** Different values that are counted; of more only that there are more. */
export const maxValues = 10_000;
/** Characters of a value that count: two that differ behind them are one. */
export const maxValueLength = 512;

const shownLength = 200;

type Value = string | number | boolean | null;

/** How often each value stands at a path. */
export type Counts = {
  readonly path: string;
  /** Events that were counted. */
  readonly events: number;
  /** The most frequent first; of equally frequent ones the one that came first. An event with a list counts for each. */
  readonly counts: readonly { readonly value: Value; readonly count: number }[];
  /** Events that have no value there. */
  readonly none: number;
  /** How often a value stood there that was not among the first {@link maxValues} different ones. */
  readonly other: number;
};

/** Counts the values at a path, in memory that is bounded by {@link maxValues} and {@link maxValueLength}. */
export class Tally {
  readonly #text: string;
  readonly #path: EventPath;
  readonly #counts = new Map<Value, number>();
  #events = 0;
  #none = 0;
  #other = 0;

  constructor(text: string, path: EventPath) {
    this.#text = text;
    this.#path = path;
  }

  /** Counts an event: once for each of the different values that it has there. */
  add(event: object): void {
    const values = new Set<Value>();
    someValue(event, this.#path, (value) => {
      const counted = countedOf(value);
      if (counted !== undefined && values.size < maxValues) values.add(counted);
      return false;
    });
    this.#events += 1;
    if (values.size === 0) this.#none += 1;
    for (const value of values) {
      const count = this.#counts.get(value);
      if (count === undefined && this.#counts.size >= maxValues) this.#other += 1;
      else this.#counts.set(value, (count ?? 0) + 1);
    }
  }

  counts(): Counts {
    return {
      path: this.#text,
      events: this.#events,
      counts: [...this.#counts].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count),
      none: this.#none,
      other: this.#other,
    };
  }
}

/** Counts for a person: a line for each value, and what is not among them in words. */
export function renderCounts({ counts, none, other }: Counts): string {
  const rows = [
    ...counts.map(({ value, count }) => [count, safeText(value, shownLength)] as const),
    ...(other === 0 ? [] : [[other, `(other: not among the first ${maxValues} values)`] as const]),
    ...(none === 0 ? [] : [[none, '(none)'] as const]),
  ];
  const width = Math.max(0, ...rows.map(([count]) => String(count).length));
  return rows.map(([count, text]) => `${String(count).padStart(width)} ${text}\n`).join('');
}

function countedOf(value: unknown): Value | undefined {
  if (typeof value === 'string') {
    // A copy, so that the long text is not kept for the sake of its beginning.
    return value.length > maxValueLength ? `${Buffer.from(value.slice(0, maxValueLength)).toString()}…` : value;
  }
  return typeof value === 'number' || typeof value === 'boolean' || value === null ? value : undefined;
}
