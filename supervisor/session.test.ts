import test from 'ava';
import { channelVersion } from '../channel/index.ts';
import { Session } from './session.ts';

const seed = Buffer.alloc(64, 7);
const wake = Buffer.from(JSON.stringify({ kind: 'wake', seed: seed.toString('base64') }));

/** What a session does at the host's first word, in order, where reseeding goes as `reseed` has it. */
async function answersTo(reseed: () => Promise<void>): Promise<readonly unknown[]> {
  const done: unknown[] = [];
  await new Promise<void>((resolve) => {
    const session = new Session(
      {
        send: async (message) => {
          done.push(message);
          resolve();
        },
        sendData: async () => undefined,
      },
      {
        ...{ kernelRelease: '6.1.0', bootMs: 2500, prepared: Promise.resolve() },
        reseed: async (given) => {
          await reseed();
          done.push(given);
        },
      },
    );
    session.onMessage(wake);
  });
  return done;
}

test('Session: the host’s seed is taken before the guest answers a word', async (t) => {
  const later = async () => await new Promise<void>((resolve) => setTimeout(resolve, 20));
  t.deepEqual(await answersTo(later), [
    seed,
    { kind: 'hello', version: channelVersion, kernelRelease: '6.1.0', bootMs: 2500 },
  ]);
});

test('Session: a guest that cannot take the seed says so, and no hello', async (t) => {
  const refused = async () => await Promise.reject(new Error('ioctl of /dev/urandom: EPERM'));
  t.deepEqual(await answersTo(refused), [
    { kind: 'failed', code: 'BUG', message: 'ioctl of /dev/urandom: EPERM', hint: null },
  ]);
});
