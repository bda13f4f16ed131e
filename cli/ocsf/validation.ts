import { isEventClassUid, LineSplitter, parseEventLine, type SchemaVersion, validateEvent } from '../../ocsf/index.ts';

/** What is wrong with a line: of an event what the validator says, of another line that it is no event. */
export type LineError = {
  /** From 1. */
  readonly line: number;
  /** Empty means the event itself. */
  readonly path: string;
  /** A rule of the validator, or `json` where the line is no JSON object. */
  readonly rule: string;
  readonly value?: string | number | boolean;
  /** One printable line. */
  readonly message: string;
};

/** How many lines of each kind there were; empty lines are none. */
export type Verdict = {
  readonly valid: number;
  readonly invalid: number;
  /** Events of a class that the validator does not know: it says nothing of them. */
  readonly unknown: number;
  /** What is wrong with the invalid ones, all together. */
  readonly errors: number;
  /** Those classes by `class_uid`, the first {@link maxClasses} different ones. */
  readonly unknownClasses: ReadonlyMap<number, number>;
};

/** Classes that are counted one by one. The schema has fewer than this; a hostile file may have more. */
export const maxClasses = 200;

/**
 * Validates the lines of a file as they come, in the memory of one line, and calls `onError` for each thing that is wrong.
 * A last line need not have its newline.
 *
 * @throws whatever reading the bytes throws
 */
export async function validateLines(
  bytes: AsyncIterable<Buffer>,
  options: { readonly version: SchemaVersion | undefined; readonly onError: (error: LineError) => void },
): Promise<Verdict> {
  const counts = { valid: 0, invalid: 0, unknown: 0, errors: 0 };
  const unknownClasses = new Map<number, number>();
  const take = (line: Parameters<typeof parseEventLine>[0]): void => {
    const parsed = parseEventLine(line);
    const unknown = parsed.kind === 'event' ? unknownClassOf(parsed.event) : undefined;
    if (unknown !== undefined) {
      counts.unknown += 1;
      const count = unknownClasses.get(unknown);
      if (count !== undefined || unknownClasses.size < maxClasses) unknownClasses.set(unknown, (count ?? 0) + 1);
      return;
    }
    const errors = errorsOf(parsed, options.version);
    counts[errors.length === 0 ? 'valid' : 'invalid'] += 1;
    counts.errors += errors.length;
    for (const error of errors) options.onError(error);
  };
  const splitter = new LineSplitter({ offset: 0, line: 0 });
  for await (const piece of bytes) for (const line of splitter.push(piece)) take(line);
  const last = splitter.unfinished();
  if (last !== undefined) take(last);
  return { ...counts, unknownClasses };
}

function errorsOf(parsed: ReturnType<typeof parseEventLine>, version: SchemaVersion | undefined): readonly LineError[] {
  const line = parsed.number;
  if (parsed.kind === 'broken') return [{ line, path: '', rule: 'json', message: parsed.problem }];
  const { errors } = validateEvent(parsed.event, { warnings: false, ...(version === undefined ? {} : { version }) });
  return errors.map((error) => ({ line, ...error }));
}

/** The class of an event that is none of ours. One that names no class is no such event, but an invalid one. */
function unknownClassOf(event: object): number | undefined {
  const uid = Object.hasOwn(event, 'class_uid') ? (event as { readonly class_uid: unknown }).class_uid : undefined;
  if (typeof uid !== 'number' || !Number.isSafeInteger(uid) || uid < 0 || isEventClassUid(uid)) return undefined;
  return uid;
}
