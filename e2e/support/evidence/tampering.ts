import { code, renderTable } from '../generated-part.ts';

/**
 * What somebody does to the rulesets of a sandbox while a command runs, and where it is tried. `e2e/bypass-detection/tampering.ts`
 * does each, and docs/evidence.md is made from it.
 */
export const tamperings = {
  flush: { what: 'the fence’s table is flushed: it refuses all, and tells of nothing', where: 'fence', tried: 'both' },
  accept: { what: 'a rule that accepts is put before all others', where: 'fence', tried: 'both' },
  delete: { what: 'the fence is deleted', where: 'fence', tried: 'both' },
  dormant: { what: 'the fence is made dormant', where: 'fence', tried: 'both' },
  element: {
    what: 'the map from cgroups to execs is emptied: packets are said to be nobody’s',
    where: 'fence',
    tried: 'both',
  },
  foreign: { what: 'a table of somebody else is put beside the fence', where: 'fence', tried: 'both' },
  guest: { what: 'a rule opens the supervisor’s own namespace', where: 'guest', tried: 'both' },
  // The host’s switch is the host’s: who sets it to 0 takes the log from all, and the canaries tell of it.
  switch: { what: 'the kernel is told not to log for other namespaces', where: 'log-switch', tried: 'vm' },
  // A jail’s slot is the namespace of the supervisor.
  slot: { what: 'a rule opens the slot, on the host', where: 'slot', tried: 'vm' },
} as const;

const places = { both: 'guest, jail', vm: 'guest' } as const;

/** The table of {@link tamperings}. */
export function renderTamperings(): string {
  return renderTable(
    ['what is done', '`unmapped.ruleset.where`', 'tried in'],
    Object.values(tamperings).map(({ what, where, tried }) => [what, code([where]), places[tried]]),
  );
}
