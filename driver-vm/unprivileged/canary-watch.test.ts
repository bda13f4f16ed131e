import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { until } from '../../e2e/support/until.ts';
import type { CanaryMissedInput } from '../../ocsf/index.ts';
import { CanaryWatch } from './canary-watch.ts';

type Watched = { readonly watch: CanaryWatch; readonly findings: CanaryMissedInput[]; readonly clock: { now: number } };

/** A watch with its own clock; its timer is the real one. */
function watching(t: ExecutionContext, { intervalMs = 1000, graceMs = 1000 } = {}): Watched {
  const findings: CanaryMissedInput[] = [];
  const clock = { now: 1_790_000_000_000 };
  const options = { intervalMs, graceMs, now: () => clock.now, uid: 'canary/a' };
  const watch = new CanaryWatch({ ...options, onFinding: (finding) => findings.push(finding) });
  t.teardown(() => watch.stop());
  return { watch, findings, clock };
}

const seen = (number: number) => ({ kind: 'canary', number, broken: null, packet: null }) as const;
const missed = (number: number) => ({ kind: 'canary', number, broken: 'logged', packet: 'udp6' }) as const;

test('CanaryWatch makes no finding of rounds that went well', (t) => {
  const { watch, findings, clock } = watching(t);
  for (let number = 1; number <= 20; number += 1) {
    watch.report(seen(number));
    clock.now += 1000;
  }
  t.deepEqual(findings, []);
});

test('CanaryWatch makes one finding of many misses, and closes it when canaries are seen again', (t) => {
  const { watch, findings, clock } = watching(t);
  const begun = clock.now;
  watch.report(seen(1));
  clock.now += 1000;
  watch.report(missed(2));
  clock.now += 1000;
  watch.report({ ...missed(3), broken: 'refused', packet: 'tcp4' });
  clock.now += 1000;
  watch.report(seen(4));
  watch.report(missed(5));
  const first = { uid: 'canary/a/1', since: begun + 1000 };
  t.deepEqual(findings, [
    { ...first, step: 'create', time: begun + 1000, link: 'logged', packet: 'udp6', missed: 1 },
    { ...first, step: 'update', time: begun + 2000, link: 'refused', packet: 'tcp4', missed: 2 },
    { ...first, step: 'close', time: begun + 3000, link: 'refused', packet: 'tcp4', missed: 2 },
    {
      uid: 'canary/a/2',
      since: begun + 3000,
      step: 'create',
      time: begun + 3000,
      link: 'logged',
      packet: 'udp6',
      missed: 1,
    },
  ]);
});

test('CanaryWatch finds a guest that says nothing any more, once it is to', async (t) => {
  const { watch, findings } = watching(t, { intervalMs: 40, graceMs: 20 });
  await sleep(100);
  t.deepEqual(findings, [], 'not before the start');
  watch.start();
  await until(() => findings.length >= 2);
  watch.report(seen(1));
  watch.stop();
  t.like(findings, [
    { step: 'create', link: 'reported', packet: null, missed: 1 },
    { step: 'update', link: 'reported', missed: 2 },
  ]);
  t.is(findings.at(-1)?.step, 'close');
  const before = findings.length;
  await sleep(100);
  t.is(findings.length, before, 'not after the stop');
});

test('CanaryWatch takes no round twice, out of turn, or before its time', (t) => {
  const { watch, clock } = watching(t);
  watch.report(seen(1));
  for (const number of [1, 0, 3]) t.throws(() => watch.report(seen(number)), { code: 'CHANNEL_PROTOCOL' }, `${number}`);
  watch.report(seen(2));
  watch.report(seen(3));
  t.throws(() => watch.report(seen(4)), { code: 'CHANNEL_PROTOCOL' });
  clock.now += 500;
  watch.report(seen(4));
  t.throws(() => watch.report(missed(5)), { code: 'CHANNEL_PROTOCOL' });
});
