import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { run } from '../../base/index.ts';
import { tamperings } from '../support/evidence/tampering.ts';
import { withCode } from '../support/record.ts';
import { startBesideRoot } from '../support/root-attack.ts';
import type { Bench } from '../support/sandbox-bench.ts';
import { until } from '../support/until.ts';

type Name = keyof typeof tamperings;

/** What root does, in shell, and a line of the difference that is told. `$fence` enters the workload's namespace. */
const attacks: Readonly<Record<Exclude<Name, 'slot'>, { readonly script: string; readonly told: RegExp }>> = {
  flush: { script: '$fence nft flush table inet tapwarden_fence', told: /^- rule inet tapwarden_fence / },
  accept: {
    script: '$fence nft insert rule inet tapwarden_fence output accept',
    told: /^\+ rule inet tapwarden_fence output \(no comment\)$/,
  },
  delete: { script: '$fence nft delete table inet tapwarden_fence', told: /^- table inet tapwarden_fence$/ },
  dormant: {
    script: "$fence nft 'table inet tapwarden_fence { flags dormant; }'",
    told: /^\+ table inet tapwarden_fence$/,
  },
  element: {
    // Whose packets are said to be those of the first exec.
    script: '$fence nft flush map inet tapwarden_fence execs',
    told: /^- element inet tapwarden_fence execs 0x[0-9a-f]{16}$/,
  },
  foreign: {
    script: "$fence nft 'table ip other { chain c { type nat hook output priority -100; dnat to 10.200.0.1; }; }'",
    told: /^\+ table ip other$/,
  },
  guest: {
    script: 'nft insert rule inet tapwarden_guest input accept',
    told: /^\+ rule inet tapwarden_guest input \(no comment\)$/,
  },
  switch: {
    script: 'echo 0 >/proc/sys/net/netfilter/nf_log_all_netns',
    told: /^nf_log_all_netns was not 1$/,
  },
};
const slotTold = '+ rule inet tapwarden_tap0 input (no comment)';

/** Milliseconds within which all must stand again: an emulated guest on busy cores needs most of them to run nft. */
const promptMs = { vm: 10_000, jail: 1000 } as const;

/** Tries to get out all the while, until it is told to stop; prints whether it was refused at the end. */
const command = `
import os, socket, time
home = os.path.expanduser("~")
print("up", flush=True)
open(home + "/begin", "w").close()
while not os.path.exists(home + "/over"):
    try: socket.create_connection(("198.51.100.1", 80), 0.2)
    except OSError: pass
    time.sleep(0.1)
print(socket.socket().connect_ex(("198.51.100.1", 80)))
`;

/** What somebody changes is told of with the difference, and stands again at once: in the guest or jail, and on the host. */
export async function putsRulesetsRight(t: ExecutionContext, bench: Bench): Promise<void> {
  const names = (Object.keys(tamperings) as Name[]).filter((name) => isTried(name, bench));
  const inside = names.filter((name) => name !== 'slot');
  // A change is made when the one before was put right, which two listings without counts and elements show.
  const script = [
    'look() { { nft -s -t list ruleset; $fence nft -s -t list ruleset; cat /proc/sys/net/netfilter/nf_log_all_netns; } | grep -v "seen._\\|other._"; }',
    'before=$(look)',
    ...inside.flatMap((name) => [
      attacks[name].script,
      `sleep ${bench.boundary === 'vm' ? 1 : 0.3}`,
      'until [ "$(look)" = "$before" ]; do sleep 0.2; done',
    ]),
    ': >"$home/over"',
  ].join('\n');
  const running = await startBesideRoot(bench, { script, args: ['--timeout', '200', '--', 'python3', '-c', command] });
  running.stdin.end();
  await until(() => running.output().includes('up'), 60_000);
  if (names.includes('slot')) {
    await sleep(500);
    await run(['ip', 'netns', 'exec', `tw-${running.id}`, 'nft', 'insert rule inet tapwarden_tap0 input accept']);
  }
  const { status, stdout, stderr, result, events } = await running.ended;
  t.is(status, 0, stderr);
  t.is(stdout.toString('utf8'), 'up\n111\n', 'it is refused at the end');

  const changes = withCode(events, 'ruleset-changed');
  const told = changes.map(({ unmapped, status_detail }) => `${unmapped?.ruleset?.where}: ${status_detail}`);
  const ofInside = changes.filter(({ unmapped }) => unmapped?.ruleset?.where !== 'slot');
  t.is(changes.length, names.length, told.join('\n'));
  for (const [at, name] of inside.entries()) {
    const lines = ofInside[at]?.status_detail?.split('; ') ?? [];
    t.is(ofInside[at]?.unmapped?.ruleset?.where, tamperings[name].where, name);
    t.true(
      lines.some((line) => attacks[name].told.test(line)),
      `${name}: ${lines.join('; ')}`,
    );
  }
  t.deepEqual(
    told.filter((line) => line.startsWith('slot')),
    names.includes('slot') ? [`slot: ${slotTold}`] : [],
  );
  const restored = changes.map(({ unmapped }) => unmapped?.ruleset?.restored_ms ?? Number.POSITIVE_INFINITY);
  t.log(`restored within ${restored.join(', ')} ms`);
  t.true(Math.max(...restored) < promptMs[bench.boundary], told.join('\n'));

  const findings = withCode(events, 'finding').filter(
    ({ finding_info }) => finding_info?.types[0] === 'ruleset-changed',
  );
  const places = new Set(names.map((name) => tamperings[name].where));
  t.is(
    new Set(findings.map(({ finding_info }) => finding_info?.uid)).size,
    places.size,
    'one for each that was changed',
  );
  t.false(result?.complete);
  const reason = `unknown: a ruleset was changed ${names.length} times`;
  t.true(
    result?.incomplete.some((one) => one.startsWith(reason)),
    result?.incomplete.join('; '),
  );
}

function isTried(name: Name, bench: Bench): boolean {
  return tamperings[name].tried === 'both' || bench.boundary === 'vm';
}
