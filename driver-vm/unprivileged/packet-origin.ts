import type { Origin, OriginProcess } from '../../channel/index.ts';
import type { DeniedPacketInput } from '../../ocsf/index.ts';

/** What an event is made from, of what the guest says of a packet's sender. */
export function originInput(origin: Origin | null): DeniedPacketInput['origin'] {
  if (origin === null) return undefined;
  const { method, confidence, reason, process, ancestors, candidates, conflict } = origin;
  return {
    method,
    confidence,
    reason: reason ?? undefined,
    process: process === null ? undefined : processInput(process),
    ancestors: ancestors.map(processInput),
    candidates: candidates.map(processInput),
    conflict: conflict ?? undefined,
  };
}

function processInput({ pid, uid, binary, arguments: argv, ageMs }: OriginProcess) {
  return { pid, uid: uid ?? undefined, binary: binary ?? undefined, arguments: argv, ageMs: ageMs ?? undefined };
}
