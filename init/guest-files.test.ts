import { readFileSync } from 'node:fs';
import test from 'ava';
import { consoleLines, probeArgument, workloadUser } from './contract.ts';
import { renderGuestFiles, renderNetworkBatch } from './guest-files.ts';

test('renderNetworkBatch sets both addresses, permanent neighbours and default routes', (t) => {
  t.is(
    renderNetworkBatch(),
    [
      'link set lo up',
      'link set eth0 addrgenmode none',
      'addr add 10.0.128.2/30 dev eth0',
      'addr add fd74:7761:7264::2/126 dev eth0 nodad',
      'link set eth0 up',
      'neigh replace 10.0.128.1 lladdr 02:74:77:00:00:01 dev eth0 nud permanent',
      'neigh replace fd74:7761:7264::1 lladdr 02:74:77:00:00:01 dev eth0 nud permanent',
      'route replace default via 10.0.128.1 dev eth0',
      'route replace ::/0 via fd74:7761:7264::1 dev eth0',
      '',
    ].join('\n'),
  );
});

test('renderGuestFiles names the workload’s user and the modules in order', (t) => {
  const files = new Map(renderGuestFiles(['b', 'a']).map(({ path, text }) => [path, text]));
  t.is(files.get('etc/tapwarden/modules'), 'b\na\n');
  t.regex(files.get('etc/passwd') ?? '', new RegExp(`^${workloadUser.name}:x:1000:1000:`, 'm'));
});

test('the guest scripts say on the console what the contract says', (t) => {
  const initrd = readFileSync('init/guest/initrd.sh', 'utf8');
  const init = readFileSync('init/guest/init.sh', 'utf8');
  t.true(initrd.includes(`*' ${probeArgument} '*)`) && initrd.includes(`echo ${consoleLines.probeOk}\n`));
  t.true(init.includes('say "supervisor ended with status $?"'));
  for (const script of [initrd, init]) t.true(script.includes(`echo "${consoleLines.initPrefix}$*"`));
});
