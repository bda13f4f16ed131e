import { escapeText } from '../../base/index.ts';

/** An event on its way: its line as it stands in the log, and what transports need to know of it. */
export type OutgoingEvent = {
  /** The JSON text, without newline. */
  readonly text: string;
  /** Bytes of the text in UTF-8. */
  readonly bytes: number;
  /** `metadata.uid`, by which receivers tell duplicates. */
  readonly uid?: string;
  /** The class as OCSF writes it in paths, for example `network_activity`; a number where the event has no name. */
  readonly className: string;
  readonly deviceUid?: string;
  readonly severityId: number;
  /** Milliseconds since the epoch. */
  readonly time?: number;
};

/** A line of a log read for sending: an event, or what is wrong with it. */
export type ReadLine =
  | { readonly kind: 'event'; readonly event: OutgoingEvent }
  | { readonly kind: 'broken'; readonly problem: string };

/**
 * Reads a line of the log. The text is sent as it stands; a line that is no JSON object is broken.
 */
export function readLine(text: string): ReadLine {
  let event: unknown;
  try {
    event = JSON.parse(text);
  } catch {
    return { kind: 'broken', problem: `it is no JSON: "${escapeText(text, 160)}"` };
  }
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    return { kind: 'broken', problem: `it is no JSON object: "${escapeText(text, 160)}"` };
  }
  const { metadata, device, time, severity_id: severity } = event as Readonly<Record<string, unknown>>;
  const uid = textIn(metadata, 'uid');
  const deviceUid = textIn(device, 'uid');
  return {
    kind: 'event',
    event: {
      text,
      bytes: Buffer.byteLength(text),
      ...(uid === undefined ? {} : { uid }),
      className: classNameOf(event as Readonly<Record<string, unknown>>),
      ...(deviceUid === undefined ? {} : { deviceUid }),
      severityId: typeof severity === 'number' ? severity : 0,
      ...(typeof time === 'number' && Number.isSafeInteger(time) ? { time } : {}),
    },
  };
}

/** OCSF's own names of classes are their captions in lower case, with `_` between words. */
function classNameOf({ class_name: name, class_uid: uid }: Readonly<Record<string, unknown>>): string {
  const word = typeof name === 'string' ? name.toLowerCase().replace(/[^a-z0-9]+/g, '_') : '';
  const trimmed = word.replace(/^_|_$/g, '').slice(0, 64);
  if (trimmed !== '') return trimmed;
  return typeof uid === 'number' ? String(uid) : 'unknown';
}

function textIn(parent: unknown, key: string): string | undefined {
  if (typeof parent !== 'object' || parent === null || !Object.hasOwn(parent, key)) return undefined;
  const value: unknown = Reflect.get(parent, key);
  return typeof value === 'string' && value !== '' ? value : undefined;
}
