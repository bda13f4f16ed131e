import test from 'ava';
import { fenceCounters } from '../../supervisor/fence.ts';
import { countedInFence, renderCounted, renderDropped } from '../support/evidence/counters.ts';
import { renderFindings } from '../support/evidence/findings.ts';
import { renderForgeries } from '../support/evidence/forgeries.ts';
import { renderGaps } from '../support/evidence/gaps.ts';
import { renderIncomplete } from '../support/evidence/incomplete.ts';
import { renderLinks } from '../support/evidence/links.ts';
import { renderTamperings } from '../support/evidence/tampering.ts';
import { holdsGenerated } from '../support/generated-part.ts';

const page = 'docs/evidence.md';
/** What each generated part is made from, as its mark says. */
const parts: Readonly<Record<string, string>> = {
  'what the fence counts': renderCounted(),
  'the gaps of the log': renderGaps(),
  'the links of a canary': renderLinks(),
  'the reasons of an incomplete record': renderIncomplete(),
  'the forgeries': renderForgeries(),
  'what is done to rulesets': renderTamperings(),
  'what the host drops': renderDropped(),
  'what makes a finding': renderFindings(),
};

for (const [what, text] of Object.entries(parts)) {
  test(`docs/evidence.md: ${what} is what the tests hold to be true`, (t) => holdsGenerated(t, page, what, text));
}

test('docs/evidence.md tells of every counter of the fence', (t) => {
  const told = new Set<string>(Object.values(countedInFence).flatMap(({ names }) => names));
  t.deepEqual(
    fenceCounters.filter((name) => !told.has(name)),
    [],
  );
});
