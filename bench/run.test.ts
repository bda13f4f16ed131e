import test from 'ava';
import { phases, phasesOf } from './run.ts';
import { summarize } from './summary.ts';

const steps = {
  ...{ spawned: 0, loaded: 200, prepared: 240, created: 500, vmm: 501, hello: 3500, ready: 4500 },
  ...{ started: 4800, exited: 4900, settled: 5000, stopped: 5020, deleted: 5040, ended: 5060, guestBootMs: 2500 },
};

for (const way of ['restored', 'booted'] as const) {
  test(`phasesOf: the phases of a ${way} guest follow each other without a gap, and add up to the whole run`, (t) => {
    const sum = phasesOf(way, steps).reduce((all, ms) => all + ms, 0);
    t.is(sum, steps.ended - steps.spawned);
  });
}

test('phasesOf: when the guest’s kernel began follows from the guest’s own clock', (t) => {
  t.is(phasesOf('booted', steps)[phases.booted.findIndex(({ name }) => name === 'boot')], 2500);
});

test('phasesOf: a run that leaves a step out is an error', (t) => {
  const { settled: _, ...without } = steps;
  t.throws(() => phasesOf('booted', without), { instanceOf: RangeError, message: /'settled'/ });
});

test('summarize: the median of an odd and of an even number, and no median of nothing', (t) => {
  t.deepEqual(summarize([3, 1, 2]), { median: 2, min: 1, max: 3 });
  t.deepEqual(summarize([4, 10, 2, 8]), { median: 6, min: 2, max: 10 });
  t.throws(() => summarize([]), { instanceOf: RangeError });
});
