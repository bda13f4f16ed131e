import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { DeniedPacketFact } from '../../channel/index.ts';
import { fact } from '../../e2e/support/channel-facts.ts';
import { AttemptMatcher, type Verdict } from './attempt-matcher.ts';
import { Attribution } from './attribution.ts';
import type { Evidence } from './evidence.ts';
import { monotonicMs } from './monotonic.ts';
import type { OwnAttempt } from './origin.ts';

/** Evidence of a machine that tells of nothing, read up to the moment that `upTo` says. */
function silent(upTo: () => number): Evidence {
  const nothing = async (): Promise<void> => undefined;
  const silence = {
    ...{
      obstacle: undefined,
      hasLoss: false,
      catchUp: nothing,
      catchUpEvents: nothing,
      noteLoss: nothing,
      close: nothing,
    },
    get eventsMs() {
      return upTo();
    },
    get caughtUpMs() {
      return upTo();
    },
  };
  return silence as unknown as Evidence;
}

const packet: DeniedPacketFact = { ...fact, mark: 3 };

test('a packet of which nothing is read in time is told of by its exec, and no later', async (t) => {
  const unread = silent(() => Number.NEGATIVE_INFINITY);
  const attribution = new Attribution({ ids: { first: 1 }, mostWaitMs: 100 } as never, new AttemptMatcher(), unread);
  const begun = monotonicMs();
  const origin = await attribution.attribute(packet);
  t.true(monotonicMs() - begun >= 100);
  t.like(origin, { method: 'exec', exec: 3, reason: 'too-many', confidence: 'low' });
  await attribution.close();
});

/** Takes a while for each packet, and finds that several may have sent it. */
class SlowMatcher extends AttemptMatcher<OwnAttempt> {
  most = 0;
  #atOnce = 0;

  override decide(): Verdict<OwnAttempt> {
    this.#atOnce += 1;
    this.most = Math.max(this.most, this.#atOnce);
    setImmediate(() => {
      this.#atOnce = 0;
    });
    for (const end = monotonicMs() + 2; monotonicMs() < end; );
    return { kind: 'several', attempts: [] };
  }
}

test('hundreds of packets that can be anybody’s are not looked at all at once: what they wait for is read meanwhile', async (t) => {
  const matcher = new SlowMatcher();
  // Read up to now, and yet none is old enough to be told of.
  const options = { ids: { first: 1 }, waitMs: 1000, mostWaitMs: 400 } as never;
  const attribution = new Attribution(
    options,
    matcher,
    silent(() => monotonicMs() + 2000),
  );
  const told = Array.from({ length: 300 }, async () => await attribution.attribute(packet));
  await sleep(200);
  t.true(matcher.most > 0);
  t.true(matcher.most <= 12, `${matcher.most} at once`);
  const origins = await Promise.all(told);
  t.is(origins.filter(({ reason }) => reason === 'too-many').length, 300);
  await attribution.close();
});
