import { paintSeverity, paintVerdict, type ShorthandOptions, shortFields } from '../../ocsf/index.ts';

/** How a table is printed. */
export type TableOptions = ShorthandOptions & {
  /** Characters of a line of the terminal; where there is none, the last column is as long as its text. */
  readonly columns?: number | undefined;
};

/** Wide enough for what is usual. A longer text is cut: the widths are known before the first event is. */
const widths = { time: 24, kind: 18, severity: 13, verdict: 8, subject: 30, object: 40, rule: 14 } as const;
const gap = '  ';
const leastWhy = 20;

/** The line above the events. */
export function renderTableHead(options: TableOptions): string {
  const titles = { time: 'TIME', kind: 'EVENT', severity: 'SEVERITY', verdict: 'VERDICT', subject: 'WHO' };
  return rowOf({ ...titles, object: 'WHAT', rule: 'RULE' }, 'WHY', options);
}

/** An event as a row: the parts of its shorthand, each cut to its column. */
export function renderTableRow(event: object, options: TableOptions): string {
  const fields = shortFields(event);
  const why = [fields.why, fields.counts, fields.flags].filter((text) => text !== '').join(' ');
  return rowOf(fields, why, options, event);
}

type Cells = Readonly<Record<keyof typeof widths, string>>;

function rowOf(cells: Cells, why: string, options: TableOptions, event: object = {}): string {
  const names = Object.keys(widths) as (keyof typeof widths)[];
  const cut = names.map((name) => {
    const text = cutTo(cells[name], widths[name]).padEnd(widths[name]);
    if (name === 'severity') return paintSeverity(text, event, options);
    return name === 'verdict' ? paintVerdict(text, options) : text;
  });
  const used = names.reduce((sum, name) => sum + widths[name] + gap.length, 0);
  const left = options.columns === undefined ? Infinity : Math.max(leastWhy, options.columns - used);
  return [...cut, cutTo(why, left)].join(gap).trimEnd();
}

function cutTo(text: string, width: number): string {
  if (text.length <= width) return text;
  // No half of a pair of units at the end.
  return `${text.slice(0, width - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
