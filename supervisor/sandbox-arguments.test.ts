import test from 'ava';
import { matchesGolden } from '../e2e/support/golden.ts';
import { sandboxArguments } from './sandbox-arguments.ts';
import { workloadEnvironment } from './workload-environment.ts';

test('sandboxArguments() is the golden, one word a line', (t) => {
  const words = sandboxArguments({ env: { A: '1', B: '' }, workdir: '/home/workload', seccompFd: 3, statusFd: 4 });
  matchesGolden(t, 'supervisor/testdata/bwrap-arguments.txt', `${words.join('\n')}\n`);
});

test('sandboxArguments() keeps a hostile value one word, and a value that looks like an option a value', (t) => {
  const env = { X: '--bind', Y: 'a b\n"c', __proto__x: '' };
  const words = sandboxArguments({ env, workdir: '/a b', seccompFd: 3, statusFd: 4 });
  t.deepEqual(words.slice(words.indexOf('--setenv')), [
    ...['--setenv', 'X', '--bind'],
    ...['--setenv', 'Y', 'a b\n"c'],
    ...['--setenv', '__proto__x', ''],
  ]);
  t.is(words[words.indexOf('--chdir') + 1], '/a b');
});

test('workloadEnvironment() names the proxy under every name, and what the caller asks for goes over it', (t) => {
  const env = workloadEnvironment({ HTTP_PROXY: 'http://other', OWN: 'x' });
  const proxy = 'http://10.200.0.1:3128';
  t.like(env, { HTTPS_PROXY: proxy, http_proxy: proxy, https_proxy: proxy, NODE_USE_ENV_PROXY: '1', OWN: 'x' });
  t.is(env['HTTP_PROXY'], 'http://other');
  t.is(env['NO_PROXY'], env['no_proxy']);
  t.is(workloadEnvironment({})['PATH'], '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin');
});
