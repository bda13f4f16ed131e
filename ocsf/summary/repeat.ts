/** A single refused packet: whatever else its event says, it is counted where another one of the same key is. */
export type Repeat = { readonly key: string; readonly time: number };

const maxKeyLength = 512;

/**
 * What tells a refused packet from others in a summary, found at a tenth of what it takes to read all of its event: a
 * flood is one packet many thousand times. `undefined` for any other event, and for whatever has an unusual form.
 */
export function repeatOf(event: object): Repeat | undefined {
  // None of these names is one that every object inherits. What is no plain data of a parser or builder has no key.
  const { class_uid, action_id, time, count, start_time, end_time, dst_endpoint, connection_info, actor, unmapped } =
    event as Record<string, unknown>;
  if (class_uid !== 4001 || action_id !== 2 || !isInstant(time)) return undefined;
  if (count !== undefined || start_time !== undefined || end_time !== undefined) return undefined;
  const { ip, port } = partsOf(dst_endpoint);
  const { protocol_num: protocol } = partsOf(connection_info);
  if (typeof ip !== 'string' || typeof protocol !== 'number') return undefined;
  const { user, process } = partsOf(actor);
  const { name, file, user: owner } = partsOf(process);
  const words = [
    ...[protocol, ip, port, partsOf(user)['uid'], partsOf(owner)['uid']],
    ...[partsOf(partsOf(unmapped)['exec'])['id'], name, partsOf(file)['path']],
  ];
  let key = '';
  for (const word of words) {
    // A text may hold anything, so its length is said.
    if (typeof word === 'string') key += `${word.length}"${word}`;
    else if (typeof word === 'number' || word === undefined) key += `${word} `;
    else return undefined;
  }
  return key.length > maxKeyLength ? undefined : { key, time };
}

function isInstant(time: unknown): time is number {
  return typeof time === 'number' && Math.abs(time) <= 8.64e15;
}

const nothing: Readonly<Record<string, unknown>> = Object.freeze({});

function partsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : nothing;
}
