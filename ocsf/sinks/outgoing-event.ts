/** An event on its way: its line as it stands in the log, and what transports need to know of it. */
export type OutgoingEvent = {
  /** The JSON text in UTF-8, without newline. */
  readonly json: Buffer;
  /** `metadata.uid`, by which receivers tell duplicates. */
  readonly uid?: string;
  /** The class as OCSF writes it in paths, for example `network_activity`; a number where the event has no name. */
  readonly className: string;
  readonly deviceUid?: string;
  readonly severityId: number;
  /** Milliseconds since the epoch. */
  readonly time?: number;
};

/** Makes an event ready to be sent. `json` is the line that it was parsed from, and is sent as it stands. */
export function outgoingEvent(event: object, json: Buffer): OutgoingEvent {
  const members = event as Readonly<Record<string, unknown>>;
  const { metadata, device, time, severity_id: severity } = members;
  const uid = textIn(metadata, 'uid');
  const deviceUid = textIn(device, 'uid');
  return {
    json,
    ...(uid === undefined ? {} : { uid }),
    className: classNameOf(members),
    ...(deviceUid === undefined ? {} : { deviceUid }),
    severityId: typeof severity === 'number' ? severity : 0,
    ...(typeof time === 'number' && Number.isSafeInteger(time) ? { time } : {}),
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
