import { writeFile } from 'node:fs/promises';
import { messageOf, TapwardenError } from '../base/index.ts';
import { incompleteReason } from '../driver-vm/index.ts';
import type { RunEnd } from './run/end.ts';

/**
 * Writes the result of a run as one JSON object:
 * `{"exit":0,"reason":"exited","allowed":1,"denied":12,"attempts":5,"lost":0,"invalid":0,"unwritten":0,"findings":0,
 * "bypassed":0,"complete":true,"incomplete":[],"events":"/var/lib/…/a.jsonl"}`. `findings` counts those that were opened, and
 * `bypassed` the packets that came past the guest's fence and that the host dropped: with any, the guest is compromised. `complete` says whether the record tells of every attempt, and
 * `incomplete` why it may not. `invalid` counts the events that were not valid OCSF and went out inside another,
 * `unwritten` those that the disk did not take. `lost` and `unwritten` are `null` where they are not known, which they are
 * not where the run failed before its record was closed.
 *
 * @throws FILE_UNREADABLE when it cannot be written
 */
export async function writeResult(path: string, end: RunEnd, events: string): Promise<void> {
  const { exit, reason, summary } = end;
  const result = {
    exit,
    reason,
    allowed: summary?.allowed ?? 0,
    denied: summary?.denied ?? 0,
    attempts: summary?.attempts ?? 0,
    lost: summary?.lost ?? null,
    invalid: summary?.invalid ?? 0,
    unwritten: summary?.unwritten ?? null,
    findings: summary?.findings ?? 0,
    bypassed: summary?.bypassed ?? 0,
    complete: summary?.complete ?? false,
    incomplete: summary?.incomplete ?? [incompleteReason('no-record', 'the run failed before its record was closed')],
    events,
  };
  try {
    await writeFile(path, `${JSON.stringify(result)}\n`);
  } catch (cause) {
    throw new TapwardenError('FILE_UNREADABLE', { message: `Cannot write the result: ${messageOf(cause)}`, cause });
  }
}
