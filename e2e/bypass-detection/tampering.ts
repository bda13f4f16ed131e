import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { run } from '../../base/index.ts';
import { tamperings } from '../support/evidence/tampering.ts';
import { type LoggedEvent, readEvents, withCode } from '../support/record.ts';
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
    script: "$fence nft 'table ip other { chain c { type filter hook output priority -300; meta mark set 7; }; }'",
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

/** Milliseconds within which all must stand again; and how many may take up to thrice that, on emulated processors that are shared. */
const promptMs = 1000;
const mayBeLate = { vm: 1, jail: 0 } as const;

/** Tries to get out all the while; for each line of input it makes a file, until there is no more, and says how it ended. */
const command = `
import os, select, socket, sys
home = os.path.expanduser("~")
print("up", flush=True)
open(home + "/begin", "w").close()
told = 0
while True:
    try: socket.create_connection(("198.51.100.1", 80), 0.2)
    except OSError: pass
    if not select.select([sys.stdin], [], [], 0.1)[0]: continue
    if not sys.stdin.readline(): break
    told += 1
    open(home + "/told-%d" % told, "w").close()
print(socket.socket().connect_ex(("198.51.100.1", 80)))
`;

/** What somebody changes is told of with the difference, and stands again at once: in the guest or jail, and on the host. */
export async function putsRulesetsRight(t: ExecutionContext, bench: Bench): Promise<void> {
  const names = (Object.keys(tamperings) as Name[]).filter((name) => isTried(name, bench));
  const inside = names.filter((name) => name !== 'slot');
  // A change is made when the one before was told of. Nothing else takes of an emulated processor meanwhile.
  const script = inside
    .flatMap((name, at) => [attacks[name].script, `until [ -e "$home/told-${at + 1}" ]; do sleep 0.1; done`])
    .join('\n');
  const log = join(bench.folder, 'tampering.jsonl');
  const args = ['--timeout', '200', '--events', log, '--', 'python3', '-uc', command];
  const running = await startBesideRoot(bench, { script, args });
  await until(() => running.output().includes('up'), 60_000);
  if (names.includes('slot')) {
    await run(['ip', 'netns', 'exec', `tw-${running.id}`, 'nft', 'insert rule inet tapwarden_tap0 input accept']);
  }
  for (const [at] of inside.entries()) {
    const isInside = ({ unmapped }: LoggedEvent): boolean => unmapped?.ruleset?.where !== 'slot';
    await until(async () => withCode(await readEvents(log), 'ruleset-changed').filter(isInside).length > at, 30_000);
    running.stdin.write('\n');
  }
  running.stdin.end();
  const { status, stdout, stderr, result, events } = await running.ended;
  t.is(status, 0, stderr);
  t.is(stdout.toString('utf8'), 'up\n111\n', 'it is refused at the end');

  const changes = withCode(events, 'ruleset-changed');
  const told = changes.map(({ unmapped, status_detail }) => `${unmapped?.ruleset?.where}: ${status_detail}`);
  const restored = changes.map(({ unmapped }) => unmapped?.ruleset?.restored_ms ?? Number.POSITIVE_INFINITY);
  t.log(`restored within ${restored.join(', ')} ms`);
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
  const late = restored.filter((ms) => ms >= promptMs);
  t.true(late.length <= mayBeLate[bench.boundary] && late.every((ms) => ms < 3 * promptMs), told.join('\n'));

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
