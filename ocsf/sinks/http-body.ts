import { promisify } from 'node:util';
import { constants, gzip as gzipCallback } from 'node:zlib';
import type { OutgoingEvent } from './outgoing-event.ts';

const gzip = promisify(gzipCallback);

/**
 * How events stand in a body: `jsonl`, one JSON object a line, or `bundle`, the object that OCSF's encodings name:
 * `{"events":[…],"count":2,"start_time":1790000000123,"end_time":1790000000456}`.
 * Source: https://github.com/ocsf/examples, encodings/json
 */
export type HttpFormat = 'jsonl' | 'bundle';

/** A request's body and the headers that describe it. */
export type HttpBody = { readonly bytes: Buffer; readonly headers: Readonly<Record<string, string>> };

/** Renders a body. */
export async function renderBody(
  events: readonly OutgoingEvent[],
  format: HttpFormat,
  compress: boolean,
): Promise<HttpBody> {
  const plain = Buffer.concat(format === 'jsonl' ? renderLines(events) : renderBundle(events));
  const type = { 'content-type': format === 'jsonl' ? 'application/x-ndjson' : 'application/json' };
  if (!compress) return { bytes: plain, headers: type };
  // JSON of one kind shrinks to a tenth at the fastest level already.
  const bytes = await gzip(plain, { level: constants.Z_BEST_SPEED });
  return { bytes, headers: { ...type, 'content-encoding': 'gzip' } };
}

/** The lines as they stand in the log, so that what a receiver stores is what was logged, byte for byte. */
function renderLines(events: readonly OutgoingEvent[]): readonly Buffer[] {
  const newline = Buffer.from('\n');
  return events.flatMap(({ json }) => [json, newline]);
}

function renderBundle(events: readonly OutgoingEvent[]): readonly Buffer[] {
  const times = events.flatMap(({ time }) => (time === undefined ? [] : [time])).sort((a, b) => a - b);
  const [first, last] = [times[0], times.at(-1)];
  const span = first === undefined ? '' : `,"start_time":${first},"end_time":${last}`;
  const comma = Buffer.from(',');
  return [
    Buffer.from('{"events":['),
    ...events.flatMap(({ json }, index) => (index === 0 ? [json] : [comma, json])),
    Buffer.from(`],"count":${events.length}${span}}`),
  ];
}
