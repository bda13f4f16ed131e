import test from 'ava';
import { matchesGolden } from '../../e2e/support/golden.ts';
import { renderRuleset } from '../../nft/index.ts';
import { hostRuleset } from './host-table.ts';

test('hostRuleset: is testdata/host.nft', (t) => {
  matchesGolden(t, 'driver-vm/direct/testdata/host.nft', renderRuleset(hostRuleset()));
});

test('hostRuleset: a packet from a slot that is to go elsewhere passes no drop but those before its accept', (t) => {
  const forward = hostRuleset().chains.find(({ name }) => name === 'forward')?.rules ?? [];
  const ofSlots = forward.filter(({ body }) => body.startsWith('iifname @slots'));
  t.deepEqual(
    ofSlots.map(({ body }) => body.split(' ').at(-1)),
    ['drop', 'drop', 'accept'],
  );
  t.true(
    forward.indexOf(ofSlots[2] ?? { body: '', comment: '' }) <
      forward.findIndex(({ body }) => body.includes('@opened')),
  );
});
