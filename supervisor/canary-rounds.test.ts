import test, { type ExecutionContext } from 'ava';
import type { GuestMessage } from '../channel/index.ts';
import { until } from '../e2e/support/until.ts';
import type { CanaryRound } from './canaries.ts';
import { CanaryRounds } from './canary-rounds.ts';

const whole: CanaryRound = { broken: null, packet: null, detail: '', mark: 1 };
const broken: CanaryRound = { broken: 'logged', packet: 'tcp6', detail: 'a TCP connect left no line', mark: null };

type Made = { readonly rounds: CanaryRounds; readonly sent: GuestMessage[] };

/** Rounds of given results, and a host that acknowledges each, or none. */
function made(t: ExecutionContext, results: readonly CanaryRound[], acknowledges = true): Made {
  const sent: GuestMessage[] = [];
  let next = 0;
  const rounds: CanaryRounds = new CanaryRounds({
    canaries: { round: async () => results[Math.min(next++, results.length - 1)] ?? whole },
    intervalMs: 10,
    send: (message) => {
      sent.push(message);
      if (acknowledges) setImmediate(() => rounds.seen(message.number));
    },
  });
  t.teardown(() => rounds.stop());
  return { rounds, sent };
}

test('CanaryRounds.begin() makes a round, and others follow with their results', async (t) => {
  const { rounds, sent } = made(t, [whole, whole, broken, whole]);
  t.is(await rounds.begin(), 1);
  t.deepEqual(sent[0], { kind: 'canary', number: 1, broken: null, packet: null });
  await until(() => sent.length >= 4);
  rounds.stop();
  t.deepEqual(sent[2], { kind: 'canary', number: 3, broken: 'logged', packet: 'tcp6' });
  t.like(sent[3], { number: 4, broken: null });
});

test('CanaryRounds.begin() fails when a packet is missed, and tells the host of it', async (t) => {
  const { rounds, sent } = made(t, [broken]);
  await t.throwsAsync(rounds.begin(), { code: 'CANARY_MISSED', message: /a TCP connect left no line/ });
  t.deepEqual(sent, [{ kind: 'canary', number: 1, broken: 'logged', packet: 'tcp6' }]);
});

test('CanaryRounds.begin() fails when the host does not acknowledge', async (t) => {
  const { rounds, sent } = made(t, [whole], false);
  await t.throwsAsync(rounds.begin(), {
    code: 'CANARY_MISSED',
    message: /did not acknowledge a canary within 5000 ms/,
  });
  t.is(sent.length, 1);
});
