import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { errnoOf, isTapwardenError, messageOf, TapwardenError } from '../../base/index.ts';
import { checkSandboxId, type Paths } from '../../driver-vm/index.ts';
import { type EventLine, parseEventLine, readLog, renderShort } from '../../ocsf/index.ts';
import type { Command, Context } from '../context.ts';
import { readOptions } from '../options.ts';

/** `tapwarden events`. */
export const eventsCommand: Command = {
  name: 'events',
  summary: 'print an event log, one line an event',
  help: `Usage: tapwarden events [--file FILE] [--sandbox ID] [--json]

Prints the events of a log: time, class/activity, severity, verdict, sandbox and user, destination, rule, why.

  --file FILE           the log (default: the newest in the folder 'events' of the state directory)
  --sandbox ID          events of this sandbox only
  --json                the events, one JSON object a line; characters that could deceive a terminal are \\uXXXX

Colours are for terminals only, and off where NO_COLOR is set. Lines that are no events are shown as such; with --json
they are named on standard error.

Exit status: 0; 1 when a line is no event; 125 when the log cannot be read.
`,
  run: async (context, args) => {
    const { values } = readOptions('events', args, {
      file: { type: 'string' },
      sandbox: { type: 'string' },
      json: { type: 'boolean' },
    });
    const view: View = {
      sandbox: values.sandbox === undefined ? undefined : checkSandboxId(values.sandbox),
      json: values.json ?? false,
      color: usesColor(context),
    };
    return await printLog(context, values.file ?? (await newestLog(context.paths)), view);
  },
};

/** What is shown of a log, and how. */
type View = { readonly sandbox: string | undefined; readonly json: boolean; readonly color: boolean };

async function printLog(context: Context, file: string, view: View): Promise<number> {
  let broken = 0;
  let lines = 0;
  const render = async function* (): AsyncGenerator<string> {
    for await (const piece of readLog(file)) {
      for (const line of piece.kind === 'lines' ? piece.lines.map(parseEventLine) : []) {
        lines += 1;
        if (line.kind === 'broken') {
          broken += 1;
          const text = `line ${line.number} is no event: ${line.problem}\n`;
          if (view.json) context.stderr.write(text);
          else yield text;
        } else if (view.sandbox === undefined || sandboxOf(line.event) === view.sandbox) {
          yield renderLine(line, view);
        }
      }
      if (piece.kind === 'notice') context.stderr.write(`tapwarden: ${piece.message}\n`);
    }
  };
  try {
    await pipeline(render, context.stdout, { end: false });
  } catch (cause) {
    // Whoever reads has seen enough, as in 'tapwarden events | head'.
    if (errnoOf(cause) === 'EPIPE') return 0;
    throw isTapwardenError(cause) ? cause : unreadable(file, cause);
  }
  if (broken > 0) context.stderr.write(`tapwarden: ${broken} of ${lines} lines in ${file} are no events\n`);
  return broken === 0 ? 0 : 1;
}

function renderLine({ text, event }: Extract<EventLine, { kind: 'event' }>, view: View): string {
  return view.json ? `${visibleJson(text)}\n` : `${renderShort(event, { color: view.color })}\n`;
}

/**
 * The same JSON with every character as `\\uXXXX` that could change how a terminal or a person reads it. Control characters
 * stand between values only, where JSON allows them; inside texts it has them escaped already.
 */
function visibleJson(text: string): string {
  const deceptive =
    /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udfff]/g;
  return text.replace(/[\t\r]/g, ' ').replace(deceptive, (match) =>
    match
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

function sandboxOf(event: object): unknown {
  return (event as { readonly device?: { readonly uid?: unknown } | null }).device?.uid;
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
