import test from 'ava';
import { originReasons } from '../../channel/index.ts';
import { renderCases } from '../support/attribution-cases.ts';
import { holdsGenerated } from '../support/generated-part.ts';

test('docs/attribution.md: the generated part is what the kernel tests hold to be true', (t) => {
  holdsGenerated(t, 'docs/attribution.md', 'the cases of the tests', renderCases(originReasons));
});
