import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { errnoOf, messageOf, plural, sanitizeText, TapwardenError } from '../../base/index.ts';
import { isSchemaVersion, type SchemaVersion, schemaVersions } from '../../ocsf/index.ts';
import type { Command, Context } from '../context.ts';
import { visibleJson } from '../events/json.ts';
import { type LineError, type Verdict, validateLines } from '../ocsf/validation.ts';
import { readArguments, readNumber, usage } from '../options.ts';

const defaultMaxErrors = 20;
const mostErrors = 100_000;

/** `tapwarden ocsf`. */
export const ocsfCommand: Command = {
  help: `Usage: tapwarden ocsf validate [--version VERSION] [--max-errors N] [--json] FILE…

Validates files of OCSF events, one JSON object a line; - is standard input. The events may come from anywhere, as long
as their classes are among those that tapwarden writes. Of other classes nothing is known: they are counted, and said.

  --version VERSION     hold all events against ${schemaVersions.join(', ')} (default: each against its metadata.version)
  --max-errors N        show the first N errors, all files together (default ${defaultMaxErrors}); all of them are counted
  --json                one JSON object: {"files": [{"file", "events", "valid", "invalid", "unknown", "errors",
                        "unknown_classes": [{"class_uid", "count"}…]}…], "errors": [{"file", "line", "path", "rule",
                        "value", "message"}…], "errors_not_shown"}

An error is FILE:LINE: PATH: what is wrong (rule). docs/events.md lists the rules. Files may be larger than memory.

Examples
  tapwarden ocsf validate /var/lib/tapwarden/events/*.jsonl
  zcat foreign.jsonl.gz | tapwarden ocsf validate --version 1.7.0 --max-errors 5 -

Exit status: 0 when every event is valid or of another class; 1 when one is not; 125 when the command line is wrong or a
file cannot be read.
`,
  run: async (context, args) => {
    const [action, ...rest] = args;
    if (action !== 'validate') {
      throw usage(action === undefined ? 'What to do is missing' : `'${action}' is nothing that can be done`, 'ocsf');
    }
    const { values, positionals } = readArguments('ocsf', rest, {
      version: { type: 'string' },
      'max-errors': { type: 'string' },
      json: { type: 'boolean' },
    });
    if (positionals.length === 0) throw usage('A FILE is missing; - is standard input', 'ocsf');
    if (positionals.filter((file) => file === '-').length > 1) throw usage('- can be read once only', 'ocsf');
    const range = { min: 0, max: mostErrors, unit: 'errors' };
    const maxErrors = readNumber('ocsf', '--max-errors', values['max-errors'], range) ?? defaultMaxErrors;
    const request: Request = { files: positionals, version: versionOf(values.version), maxErrors };
    return await validateFiles(context, request, values.json === true ? jsonReport : textReport);
  },
};

type Request = {
  readonly files: readonly string[];
  readonly version: SchemaVersion | undefined;
  readonly maxErrors: number;
};

type FileError = LineError & { readonly file: string };
type FileVerdict = Verdict & { readonly file: string };

/** How results are written. What it yields is written at once. */
type Report = {
  readonly error: (error: FileError) => string;
  readonly file: (verdict: FileVerdict) => string;
  readonly end: (verdicts: readonly FileVerdict[], errors: readonly FileError[], notShown: number) => string;
};

async function validateFiles(context: Context, request: Request, report: Report): Promise<number> {
  let status = 0;
  const texts = async function* (): AsyncGenerator<string> {
    const verdicts: FileVerdict[] = [];
    const shown: FileError[] = [];
    let errors = 0;
    for (const file of request.files) {
      const before = shown.length;
      const onError = (error: LineError): void => {
        errors += 1;
        if (shown.length < request.maxErrors) shown.push({ file, ...error });
      };
      const verdict = { file, ...(await validateFile(file, request.version, onError)) };
      verdicts.push(verdict);
      if (verdict.invalid > 0) status = 1;
      yield [...shown.slice(before).map(report.error), report.file(verdict)].join('');
    }
    yield report.end(verdicts, shown, errors - shown.length);
  };
  try {
    await pipeline(texts, context.stdout, { end: false });
  } catch (cause) {
    // Whoever reads has seen enough.
    if (errnoOf(cause) !== 'EPIPE') throw cause;
  }
  return status;
}

async function validateFile(file: string, version: SchemaVersion | undefined, onError: (error: LineError) => void) {
  try {
    const bytes: AsyncIterable<Buffer> = file === '-' ? process.stdin : createReadStream(file);
    return await validateLines(bytes, { version, onError });
  } catch (cause) {
    if (errnoOf(cause) === undefined) throw cause;
    throw new TapwardenError('FILE_UNREADABLE', {
      message: `Cannot read ${nameOf(file)}: ${messageOf(cause)}`,
      ...(errnoOf(cause) === 'EACCES' ? { hint: 'Event logs belong to root: use sudo.' } : {}),
      cause,
    });
  }
}

const textReport: Report = {
  error: ({ file, line, path, rule, message }) =>
    `${nameOf(file)}:${line}: ${path === '' ? '' : `${path}: `}${message} (${rule})\n`,
  file: (verdict) => `${nameOf(verdict.file)}: ${summaryOf(verdict)}\n`,
  end: (_, __, notShown) =>
    notShown === 0 ? '' : `${plural(notShown, 'more error')} not shown; --max-errors shows more\n`,
};

function summaryOf({ valid, invalid, unknown, errors, unknownClasses }: Verdict): string {
  const classes = [...unknownClasses.keys()].sort((a, b) => a - b).join(', ');
  return [
    `${plural(valid + invalid + unknown, 'event')}: ${valid} valid`,
    `${invalid} invalid${invalid === 0 ? '' : ` (${plural(errors, 'error')})`}`,
    ...(unknown === 0 ? [] : [`${unknown} of classes that are not known and were not validated (${classes})`]),
  ].join(', ');
}

const jsonReport: Report = {
  error: () => '',
  file: () => '',
  end: (verdicts, errors, notShown) => {
    const files = verdicts.map(({ file, valid, invalid, unknown, errors: count, unknownClasses }) => ({
      ...{ file, events: valid + invalid + unknown, valid, invalid, unknown, errors: count },
      unknown_classes: [...unknownClasses].map(([classUid, events]) => ({ class_uid: classUid, count: events })),
    }));
    return `${visibleJson(JSON.stringify({ files, errors, errors_not_shown: notShown }))}\n`;
  },
};

function versionOf(text: string | undefined): SchemaVersion | undefined {
  if (text === undefined || isSchemaVersion(text)) return text;
  throw usage(`--version takes one of ${schemaVersions.join(', ')}, not '${text}'`, 'ocsf');
}

function nameOf(file: string): string {
  return file === '-' ? 'standard input' : sanitizeText(file);
}
