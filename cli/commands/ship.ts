import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { messageOf, TapwardenError } from '../../base/index.ts';
import {
  CursorFile,
  isSecure,
  openTransport,
  parseSinkAddress,
  readEntries,
  Shipper,
  type SinkAddress,
  type SinkSettings,
} from '../../ocsf/index.ts';
import type { Command, Context } from '../context.ts';
import { readNumber, readOptions, usage } from '../options.ts';
import { ShipProgress } from '../ship-progress.ts';
import { newestLog } from './events.ts';

/** `tapwarden ship`. */
export const shipCommand: Command = {
  help: `Usage: tapwarden ship --to ADDRESS [--file LOG] [--cursor FILE] [--once] [OPTION]…

Sends the events of a log to one receiver, in their order, each at least once, and goes on as the log grows and is rotated.
What the receiver has not acknowledged is sent again. The cursor holds how far it has come, so that a later start goes on
there. An event that comes twice has the same metadata.uid both times.

  --to ADDRESS          https://HOST/PATH, http://…    a POST for each batch
                        syslog+tls://HOST[:6514], syslog+tcp://HOST[:514]    RFC 5424
                        nats+tls://HOST[:4222], nats://…    JetStream, subject ocsf.<class>.<device uid>
                        - or stdout:    this command's standard output
  --file LOG            the log (default: the newest in the folder 'events' of the state directory)
  --cursor FILE         where the cursor is kept (default: in the folder 'cursors' of the state directory, one for each log
                        and address; none for stdout)
  --once                send what is there and end (default: follow the log)
  --give-up SECONDS     end with an error after that long without success (default: never)
  --json                reports as JSON lines on standard error, the counters as one at the end on standard output (on
                        standard error where the events go to standard output)

HTTP
  --format FORMAT       jsonl: one event a line (default); bundle: {"events":[…],"count":…,"start_time":…,"end_time":…}
  --no-gzip             bodies as they are
  --token-scheme WORD   the word before the token in Authorization (default: Bearer; Splunk wants Splunk)
HTTP and NATS
  --token-file FILE     holds a token; read again when it changes
NATS
  --creds FILE          credentials, as nsc writes them
  --create-stream NAME  make this stream for the subjects ocsf.> if there is none of the name
TLS
  --ca FILE             authorities, PEM, in place of those that Node trusts
  --cert FILE, --key FILE    a certificate of our own and its key, PEM

SIGTERM and SIGINT end it: what was read is given 5 seconds to arrive; a second one ends it at once. SIGUSR2 has it say how
far it is.

Examples
  tapwarden ship --to https://siem.example/ocsf --token-file /etc/tapwarden/token
  tapwarden ship --to syslog+tls://logs.example --ca /etc/ssl/logs-ca.pem --file run.jsonl --once
  tapwarden ship --to nats://127.0.0.1 --create-stream OCSF
  tapwarden ship --to - --file run.jsonl | vector --config vector.toml

Exit status: 0; 1 when the receiver refused events or lines were no events; 125 when it cannot go on. docs/consumers.md says
how receivers are set up.
`,
  run: async (context, args) => {
    const { values } = readOptions('ship', args, options);
    if (values.to === undefined) throw usage('--to is missing: where the events are to go', 'ship');
    const address = parseSinkAddress(values.to);
    const giveUp = readNumber('ship', '--give-up', values['give-up'], { min: 1, max: 1_000_000, unit: 'seconds' });
    const file = values.file ?? (await newestLog(context.paths));
    return await ship(context, {
      address,
      file,
      cursorPath:
        values.cursor ?? (address.kind === 'stdout' ? undefined : await defaultCursor(context, file, address)),
      settings: settingsOf(values),
      follow: values.once !== true,
      json: values.json ?? false,
      giveUpMs: giveUp === undefined ? undefined : giveUp * 1000,
    });
  },
};

const options = {
  to: { type: 'string' },
  file: { type: 'string' },
  cursor: { type: 'string' },
  once: { type: 'boolean' },
  'give-up': { type: 'string' },
  json: { type: 'boolean' },
  format: { type: 'string' },
  'no-gzip': { type: 'boolean' },
  'token-scheme': { type: 'string' },
  'token-file': { type: 'string' },
  creds: { type: 'string' },
  'create-stream': { type: 'string' },
  ca: { type: 'string' },
  cert: { type: 'string' },
  key: { type: 'string' },
} as const;

type Values = ReturnType<typeof readOptions<typeof options>>['values'];

/** What is shipped, whereto and how. */
type Job = {
  readonly address: SinkAddress;
  readonly file: string;
  readonly cursorPath: string | undefined;
  readonly settings: SinkSettings;
  readonly follow: boolean;
  readonly json: boolean;
  readonly giveUpMs: number | undefined;
};

function settingsOf(values: Values): SinkSettings {
  const { format } = values;
  if (format !== undefined && format !== 'jsonl' && format !== 'bundle') {
    throw usage(`--format takes jsonl or bundle, not '${format}'`, 'ship');
  }
  const given = {
    format,
    gzip: values['no-gzip'] === true ? false : undefined,
    tokenScheme: values['token-scheme'],
    tokenFile: values['token-file'],
    credsFile: values.creds,
    createStream: values['create-stream'],
    ca: values.ca,
    cert: values.cert,
    key: values.key,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** A file of its own for each log and receiver. */
async function defaultCursor({ paths }: Context, file: string, { name }: SinkAddress): Promise<string> {
  const folder = join(paths.stateDir, 'cursors');
  const key = createHash('sha256')
    .update(`${resolve(file)}\0${name}`)
    .digest('hex')
    .slice(0, 16);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new TapwardenError('FILE_UNREADABLE', {
      message: `Cannot make the folder of cursors: ${messageOf(cause)}`,
      hint: 'Name a file that can be written with --cursor.',
      cause,
    });
  }
  return join(folder, `${key}.json`);
}

async function ship(context: Context, job: Job): Promise<number> {
  const { address, file, cursorPath, settings, follow, json, giveUpMs } = job;
  const progress = new ShipProgress(address.kind === 'stdout' ? context.stderr : context.stdout, context.stderr, json);
  const cursor =
    cursorPath === undefined
      ? undefined
      : new CursorFile(cursorPath, {
          sink: address.name,
          onProblem: (problem) => progress.report({ kind: 'cursor', problem }),
        });
  const from = await cursor?.load();
  // Named before it is made: the stream may break while nothing was sent yet.
  let onGone = (): void => undefined;
  const transport = await openTransport(address, settings, { stream: context.stdout, onGone: () => onGone() });
  if (settings.tokenFile !== undefined && !isSecure(address)) {
    progress.report({ kind: 'notice', message: `the token goes to ${address.name} without encryption` });
  }
  const shipper = new Shipper({
    transport,
    lines: (signal) => readEntries(file, { from, follow, signal }),
    onReport: (report) => progress.report(report),
    ...(cursor === undefined ? {} : { onSettled: (position) => cursor.moved(position) }),
    ...(giveUpMs === undefined ? {} : { giveUpMs }),
  });
  onGone = () => shipper.stop(0);
  const release = handleSignals(shipper, progress);
  try {
    await shipper.run();
  } finally {
    try {
      await cursor?.close();
    } finally {
      release();
      progress.end(shipper.status);
    }
  }
  const { dropped, broken } = shipper.status;
  return dropped + broken === 0 ? 0 : 1;
}

/** Has signals end the shipper, the second at once, or show its status. Returns what takes the handlers away. */
function handleSignals(shipper: Shipper, progress: ShipProgress): () => void {
  let asked = false;
  const end = (): void => {
    if (asked) shipper.stop(0);
    else shipper.stop();
    asked = true;
  };
  const show = (): void => progress.status(shipper.status);
  process.on('SIGTERM', end).on('SIGINT', end).on('SIGUSR2', show);
  return () => void process.off('SIGTERM', end).off('SIGINT', end).off('SIGUSR2', show);
}
