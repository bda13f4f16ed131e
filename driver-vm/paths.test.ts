import test from 'ava';
import { lockFile, pathsOf } from './paths.ts';

test('pathsOf() reads the two places from the environment, or takes the usual ones', (t) => {
  t.deepEqual(pathsOf({}), { stateDir: '/var/lib/tapwarden', runDir: '/run/tapwarden' });
  const paths = pathsOf({ TAPWARDEN_STATE_DIR: '/s', TAPWARDEN_RUN_DIR: '/r' });
  t.deepEqual(paths, { stateDir: '/s', runDir: '/r' });
  t.is(lockFile(paths), '/s/lock');
});

for (const [what, env] of Object.entries({
  'a relative path': { TAPWARDEN_STATE_DIR: 'state' },
  'an empty path': { TAPWARDEN_RUN_DIR: '' },
  'a run directory that is too long for sockets': { TAPWARDEN_RUN_DIR: `/${'x'.repeat(48)}` },
  'a NUL': { TAPWARDEN_STATE_DIR: '/a\0b' },
})) {
  test(`pathsOf() refuses ${what}`, (t) => {
    t.throws(() => pathsOf(env), { code: 'USAGE_INVALID', message: /must be an absolute path/ });
  });
}

test('pathsOf() leaves room for the longest socket path', (t) => {
  const { runDir } = pathsOf({ TAPWARDEN_RUN_DIR: `/${'x'.repeat(47)}` });
  // Source: unix(7): sun_path holds 108 bytes with the final NUL.
  t.true(`${runDir}/${'i'.repeat(32)}/sockets/console`.length <= 107);
});
