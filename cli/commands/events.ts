import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { errnoOf, isTapwardenError, messageOf, plural, sanitizeText, TapwardenError } from '../../base/index.ts';
import { checkSandboxId, type Paths } from '../../driver-vm/index.ts';
import { type EventLine, EventSummary, parseEventLine, readLog, renderShort, renderSummary } from '../../ocsf/index.ts';
import type { Command, Context } from '../context.ts';
import { type EventFilter, eventFilter, readPath } from '../events/filter.ts';
import { visibleJson } from '../events/json.ts';
import { renderTableHead, renderTableRow, type TableOptions } from '../events/table.ts';
import { maxValues, renderCounts, Tally } from '../events/tally.ts';
import { readOptions, usage } from '../options.ts';

const formats = ['short', 'json', 'table'] as const;
type Format = (typeof formats)[number];

/** `tapwarden events`. */
export const eventsCommand: Command = {
  help: `Usage: tapwarden events [--file FILE] [--follow] [FILTER]… [--format short|json|table] [--count-by PATH]
       tapwarden events --summary [--file FILE] [FILTER]… [--json]

Prints the events of a log, the files that it was rotated to first: time, class/activity, severity, verdict, sandbox,
user and program > what it was done to, rule, why and what to change, how often, labels. Logs may be larger than memory.

  --file FILE           the log (default: the newest in the folder 'events' of the state directory)
  -f, --follow          go on with what is written to the log, over its rotation, until a signal comes
  --format FORMAT       short: a line an event (default); table: the same in columns, long texts cut; json: the events
                        as they are, one JSON object a line, characters that could deceive a terminal as \\uXXXX
  --json                the same as --format json
  --count-by PATH       instead of events, how often each value stands at PATH, the most frequent first; of more than
                        ${maxValues} different values the rest is counted as one. With --format json one object:
                        {"path", "events", "counts": [{"value", "count"}…], "none", "other"}
  --summary             instead of events, what was tried: each destination, how often, by which program, when, why it
                        was refused, what to change, the rule that would allow it; and whether the log tells of all of
                        it: 'complete: yes', 'no' with what is missing, 'unknown' where a run has no stop event. What
                        differs in the address alone is one entry. With --format json one object, each address apart

Filters, all of which must hold
  --since TIME          from TIME on: 2026-11-23, 2026-11-23T11:40:42Z (UTC where no zone is said), epoch seconds or
                        milliseconds, or a time ago: 30s, 10m, 2h, 1d, 1w
  --until TIME          before TIME
  --class CLASS         of this class: class_uid, name or short name (4001, network_activity, network); repeated: of any
  --severity LEVEL      at least informational, low, medium, high, critical or fatal, or its number, 1 to 6
  --sandbox ID          of this sandbox (device.uid)
  --where PATH=VALUE    some value at PATH is VALUE. PATH!=VALUE: none is, also where there is none at all.
                        PATH~TEXT: some value contains TEXT, in capitals or not; PATH~ with no text: there is one.
                        A path is keys with dots between them. A list stands for each of its elements (metadata.labels,
                        attacks[].technique.uid), and list[0] is the first.

Examples
  tapwarden events --follow --severity medium
  tapwarden events --summary --since 1h
  tapwarden events --since 1h --class network --where action=Denied --count-by dst_endpoint.ip
  tapwarden events --where dst_endpoint.port=443 --where metadata.labels=loss:possible --json | jq .message

Colours are for terminals only, and off where NO_COLOR is set. Each line is read whole whatever the filters say, so that
lines that are no events are always found: they are shown as such, with json and counts on standard error, and counted.

Exit status: 0; 1 when a line is no event; 125 when the command line is wrong or the log cannot be read.
`,
  run: async (context, args) => {
    const { values } = readOptions('events', args, {
      file: { type: 'string' },
      follow: { type: 'boolean', short: 'f' },
      since: { type: 'string' },
      until: { type: 'string' },
      class: { type: 'string', multiple: true },
      severity: { type: 'string' },
      sandbox: { type: 'string' },
      where: { type: 'string', multiple: true },
      format: { type: 'string' },
      json: { type: 'boolean' },
      'count-by': { type: 'string' },
      summary: { type: 'boolean' },
    });
    const countBy = values['count-by'];
    const sums = [...(countBy === undefined ? [] : ['--count-by']), ...(values.summary === true ? ['--summary'] : [])];
    if (sums.length > 1) throw usage('--summary and --count-by are two sums', 'events');
    if (sums.length > 0 && values.follow === true) {
      throw usage(`${sums[0]} needs the end of the log, and --follow has none`, 'events');
    }
    if (values.summary === true && values.format === 'table') throw usage('--summary has no table', 'events');
    if (values.sandbox !== undefined) checkSandboxId(values.sandbox);
    const view: View = {
      accepts: eventFilter(values, Date.now()),
      format: formatOf(values.format, values.json ?? false),
      tally: countBy === undefined ? undefined : new Tally(countBy, readPath('--count-by', countBy)),
      summary: values.summary === true ? new EventSummary() : undefined,
      color: usesColor(context),
      columns: (context.stdout as { readonly columns?: number }).columns,
    };
    const file = values.file ?? (await newestLog(context.paths));
    if (values.follow !== true) return await printLog(context, file, view);
    return await untilSignal(async (signal) => await printLog(context, file, view, signal));
  },
};

/** What is shown of a log, and how. */
type View = TableOptions & {
  readonly accepts: EventFilter;
  readonly format: Format;
  readonly tally: Tally | undefined;
  readonly summary: EventSummary | undefined;
};

/** Entries of a summary that a person is shown; JSON has them all. */
const maxEntries = 200;

/** Prints a log to its end, or follows it until `signal` fires. */
async function printLog(context: Context, file: string, view: View, signal?: AbortSignal): Promise<number> {
  const seen = { lines: 0, broken: 0 };
  try {
    const texts = (): AsyncIterable<string> => render(context, file, view, seen, signal);
    await pipeline(texts, context.stdout, { end: false });
  } catch (cause) {
    // Whoever reads has seen enough, as in 'tapwarden events | head'.
    if (errnoOf(cause) === 'EPIPE') return 0;
    throw isTapwardenError(cause) ? cause : unreadable(file, cause);
  }
  const { lines, broken } = seen;
  if (broken > 0) context.stderr.write(`tapwarden: ${broken} of ${lines} lines in ${file} are no events\n`);
  return broken === 0 ? 0 : 1;
}

/** The text for a log, in pieces. Counts its lines in `seen`. */
async function* render(
  { stderr }: Context,
  file: string,
  view: View,
  seen: { lines: number; broken: number },
  signal: AbortSignal | undefined,
): AsyncGenerator<string> {
  const isSum = view.tally !== undefined || view.summary !== undefined;
  const isText = !isSum && view.format !== 'json';
  if (isText && view.format === 'table') yield `${renderTableHead(view)}\n`;
  for await (const piece of readLog(file, {
    follow: signal !== undefined,
    ...(signal === undefined ? {} : { signal }),
  })) {
    if (piece.kind === 'notice') {
      stderr.write(`tapwarden: ${sanitizeText(piece.message)}\n`);
      continue;
    }
    let text = '';
    for (const line of piece.lines) {
      const parsed = parseEventLine(line);
      seen.lines += 1;
      if (parsed.kind === 'event') {
        text += viewEvent(parsed, view);
        continue;
      }
      seen.broken += 1;
      const where = piece.path === file ? '' : ` of ${sanitizeText(piece.path)}`;
      const complaint = `line ${parsed.number}${where} is no event: ${parsed.problem}\n`;
      if (isText) text += complaint;
      else stderr.write(complaint);
    }
    if (text !== '') yield text;
  }
  if (isSum) yield renderSums(view, seen.broken);
}

/** The text for an event, which is empty where it is but counted or not wanted. */
function viewEvent({ text, event }: Extract<EventLine, { kind: 'event' }>, view: View): string {
  const wanted = view.accepts(event);
  view.summary?.add(event, wanted);
  if (!wanted || view.summary !== undefined) return '';
  if (view.tally !== undefined) {
    view.tally.add(event);
    return '';
  }
  if (view.format === 'json') return `${visibleJson(text)}\n`;
  return `${view.format === 'table' ? renderTableRow(event, view) : renderShort(event, view)}\n`;
}

function renderSums({ tally, summary, format }: View, broken: number): string {
  if (broken > 0)
    summary?.missing(`${plural(broken, 'line')} of the log ${broken === 1 ? 'is no event' : 'are no events'}`);
  const sums = summary?.summary();
  const counts = tally?.counts();
  if (format === 'json') return `${visibleJson(JSON.stringify(sums ?? counts))}\n`;
  if (sums !== undefined) return renderSummary(sums, { limit: maxEntries });
  return counts === undefined ? '' : renderCounts(counts);
}

/** Lets `work` end by itself at the first signal that asks for it; a second one ends the program. */
async function untilSignal(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const stop = new AbortController();
  const handler = (): void => stop.abort();
  const names = ['SIGINT', 'SIGTERM'] as const;
  for (const name of names) process.once(name, handler);
  try {
    return await work(stop.signal);
  } finally {
    for (const name of names) process.off(name, handler);
  }
}

function formatOf(format: string | undefined, json: boolean): Format {
  const known = formats.find((name) => name === (format ?? (json ? 'json' : 'short')));
  if (known === undefined) throw usage(`--format takes one of ${formats.join(', ')}, not '${format}'`, 'events');
  if (json && known !== 'json') throw usage(`--json and --format ${known} are two formats`, 'events');
  return known;
}

/** Source: no-color.org, and terminfo(5) for terminals without colours. */
function usesColor({ stdout, env }: Context): boolean {
  const isTerminal = (stdout as { readonly isTTY?: boolean }).isTTY === true;
  return isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}

/**
 * The log in the state directory that was written last.
 *
 * @throws FILE_UNREADABLE when there is none
 */
export async function newestLog({ stateDir }: Paths): Promise<string> {
  const folder = join(stateDir, 'events');
  const names = await readdir(folder).catch((cause: unknown) => {
    if (errnoOf(cause) === 'ENOENT') return [];
    throw unreadable(folder, cause);
  });
  const logs = await Promise.all(
    names
      .filter((name) => name.endsWith('.jsonl'))
      .map(async (name) => ({ path: join(folder, name), ms: (await stat(join(folder, name))).mtimeMs })),
  );
  const [newest] = logs.sort((a, b) => b.ms - a.ms);
  if (newest !== undefined) return newest.path;
  throw new TapwardenError('FILE_UNREADABLE', {
    message: `There is no event log in ${folder}`,
    hint: "'tapwarden run' writes one; --file names one that is elsewhere.",
  });
}

function unreadable(path: string, cause: unknown): TapwardenError {
  return new TapwardenError('FILE_UNREADABLE', {
    message: `Cannot read the event log ${path}: ${messageOf(cause)}`,
    ...(errnoOf(cause) === 'EACCES' ? { hint: 'Event logs belong to root: use sudo.' } : {}),
    cause,
  });
}
