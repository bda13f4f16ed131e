import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../base/index.ts';
import { makeGuest } from '../support/guest-variant.ts';
import { withCode } from '../support/record.ts';
import { vmTest } from '../support/vm-test.ts';

/** What root of the guest does to the fence while a command runs, each when the one before was put right. */
const attack = `
(
	fence="nsenter --net=/run/netns/workload -- /usr/sbin/nft"
	list="$fence list chain inet tapwarden_fence output"
	until pidof python3; do sleep 1; done
	sleep 1
	$fence flush table inet tapwarden_fence
	until $list | grep refused; do sleep 1; done
	$fence insert rule inet tapwarden_fence output accept
	while $list | grep -x '[[:space:]]*accept'; do sleep 1; done
	$fence delete table inet tapwarden_fence
	until $list | grep refused; do sleep 1; done
	echo 0 >/proc/sys/net/netfilter/nf_log_all_netns
) >/dev/null 2>&1 &
`;

/** Tries to get out all the while; prints how often it was not refused after the last change. */
const command = `
import socket, time
print('up', flush=True)
end = time.time() + 25
open_ = 0
while time.time() < end:
    try:
        socket.create_connection(('198.51.100.1', 80), 0.5)
    except ConnectionRefusedError:
        open_ = 0
    except OSError:
        open_ += 1
    time.sleep(0.1)
print('refused at the end' if open_ == 0 else f'{open_} not refused', flush=True)
`;

/** Of which an emulated guest on busy cores needs most to run nft; without a guest the tests of the kernel tier ask for 1 s. */
const promptMs = 10_000;

vmTest(
  'bypass-detection: rulesets that root changes, in the guest or on the host, are told of and stand again',
  async (t, bench) => {
    const init = await readFile('init/guest/init.sh', 'utf8');
    const folder = await makeGuest(bench.folder, {
      programs: { '/usr/sbin/init': init.replace('\nenv -i ', `${attack}\nenv -i `) },
    });
    const running = bench.start(['--', 'python3', '-c', command], { env: { TAPWARDEN_GUEST_DIR: folder } });
    running.stdin.end();
    for (let tries = 0; tries < 600 && !running.output().includes('up'); tries += 1) await sleep(100);
    await run(['ip', 'netns', 'exec', `tw-${running.id}`, 'nft', 'insert rule inet tapwarden_tap0 input accept']);
    const { status, stdout, stderr, result, events } = await running.ended;
    t.is(status, 0, stderr);
    t.is(stdout.toString('utf8'), 'up\nrefused at the end\n');

    const changes = withCode(events, 'ruleset-changed');
    const told = changes.map(({ unmapped, status_detail }) => `${unmapped?.ruleset?.where}: ${status_detail}`);
    t.is(changes.filter(({ unmapped }) => unmapped?.ruleset?.where === 'fence').length, 3, told.join('\n'));
    t.is(changes.filter(({ unmapped }) => unmapped?.ruleset?.where === 'log-switch').length, 1, told.join('\n'));
    t.deepEqual(
      told.filter((line) => line.startsWith('slot')),
      ['slot: + rule inet tapwarden_tap0 input (no comment)'],
    );
    t.true(told.includes('fence: + rule inet tapwarden_fence output (no comment)'), told.join('\n'));
    for (const { unmapped } of changes) {
      t.true((unmapped?.ruleset?.restored_ms ?? Infinity) < promptMs, JSON.stringify(unmapped));
    }
    const findings = withCode(events, 'finding').filter(
      ({ finding_info }) => finding_info?.types[0] === 'ruleset-changed',
    );
    t.is(new Set(findings.map(({ finding_info }) => finding_info?.uid)).size, 3, 'one for each that was changed');
    t.false(result?.complete);
    t.true(
      result?.incomplete.some((reason) => /a ruleset was changed 5 times/.test(reason)),
      result?.incomplete.join('; '),
    );
  },
);
