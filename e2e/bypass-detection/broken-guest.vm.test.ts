import { type GuestChanges, makeGuest } from '../support/guest-variant.ts';
import { attemptOf, refusals, withCode } from '../support/record.ts';
import { vmTest } from '../support/vm-test.ts';

/** An nft that checks rulesets and loads none. */
const failingNft = `#!/bin/busybox sh
case " $* " in
*' --check '*) exec /usr/sbin/nft.shipped "$@" ;;
*' -f '*)
	echo 'Error: Could not process rule: Operation not supported' >&2
	exit 1
	;;
esac
exec /usr/sbin/nft.shipped "$@"
`;

/** An nft that loads nothing either, and says that all went well. */
const idleNft = '#!/bin/busybox sh\nexit 0\n';

/** An nft that loads a counter where the fence logs. */
const silentNft = `#!/bin/busybox sh
for file in "$@"; do
	[ -f "$file" ] && sed -i 's/log prefix "[^"]*" level info flags skuid/counter/' "$file"
done
exec /usr/sbin/nft.shipped "$@"
`;

/** Guests that cannot build the fence, by what is wrong with them: the code, and what the error names. */
const broken: readonly {
  readonly title: string;
  readonly changes: GuestChanges;
  readonly code: string;
  readonly says: RegExp;
}[] = [
  { title: 'without nft', changes: { without: ['/usr/sbin/nft'] }, code: 'NFT_MISSING', says: /'nft' is not there/ },
  {
    title: 'whose kernel cannot log',
    changes: { withoutModules: ['nft_log', 'nf_log_syslog'] },
    code: 'LOG_UNAVAILABLE',
    says: /cannot be logged.*\n.*--allow-unlogged/,
  },
  {
    title: 'whose kernel cannot refuse',
    changes: { withoutModules: ['nft_reject', 'nft_reject_inet'] },
    code: 'NFT_FEATURE_MISSING',
    says: /lacks rejectReset \(TCP refused at once\), rejectIcmp \(/,
  },
  {
    title: 'that refuses a ruleset which its probes admit',
    changes: {
      moved: { '/usr/sbin/nft': '/usr/sbin/nft.shipped' },
      programs: { '/usr/sbin/nft': failingNft },
    },
    code: 'NFT_REJECTED',
    says: /refused the ruleset of table inet tapwarden_guest: Error: Could not process rule: Operation not supported/,
  },
  {
    title: 'whose nft does nothing and ends in order',
    changes: { programs: { '/usr/sbin/nft': idleNft } },
    code: 'NFT_REJECTED',
    says: /the kernel told of 0 of \d+ rules of table inet tapwarden_guest/,
  },
  {
    title: 'whose fence says nothing of what it refuses',
    changes: { moved: { '/usr/sbin/nft': '/usr/sbin/nft.shipped' }, programs: { '/usr/sbin/nft': silentNft } },
    code: 'CANARY_MISSED',
    says: /a TCP connect over IPv4 was refused and left no line/,
  },
  {
    title: 'whose supervisor cannot start',
    changes: { without: ['/usr/lib/tapwarden/supervisor.cjs'] },
    code: 'VMM_FAILED',
    says: /The end of its console:\n(.*\n)* {2}.*supervisor ended with status/,
  },
];

for (const { title, changes, code, says } of broken) {
  vmTest(`bypass-detection: in a guest ${title} no workload starts, and the error is ${code}`, async (t, bench) => {
    const guest = await makeGuest(bench.folder, changes);
    const { status, stdout, stderr, result, events } = await bench.run(['--', 'echo', 'started'], {
      env: { TAPWARDEN_GUEST_DIR: guest },
    });
    t.is(status, 125, stderr);
    t.is(stdout.toString('utf8'), '', 'the workload did not run');
    t.true(stderr.startsWith(`tapwarden: ${code}: `), stderr);
    t.regex(stderr, says);
    t.is(result?.reason, 'tapwarden');
    t.deepEqual(withCode(events, 'exec-launched'), []);
  });
}

vmTest(
  'bypass-detection: with --allow-unlogged attempts are refused and counted without log lines, and it is said',
  async (t, bench) => {
    const guest = await makeGuest(bench.folder, { withoutModules: ['nft_log', 'nf_log_syslog'] });
    const probe = `
import errno, socket
print(errno.errorcode[socket.socket().connect_ex(("198.51.100.1", 80))])
for number in range(5):
    try:
        socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("198.51.100.2", 53))
    except PermissionError as error:
        print(errno.errorcode[error.errno])
`;
    const { status, stdout, stderr, result, events } = await bench.run(['--allow-unlogged', '--', 'python3', '-'], {
      input: probe,
      env: { TAPWARDEN_GUEST_DIR: guest },
    });
    t.is(status, 0, stderr);
    t.is(stdout.toString('utf8'), 'ECONNREFUSED\n'.concat('EPERM\n'.repeat(5)));
    t.regex(stderr, /^tapwarden: warning: .*unseen/m);
    t.is(withCode(events, 'fence-unlogged').length, 1);
    t.is(withCode(events, 'fence-unlogged')[0]?.severity_id, 4);
    t.deepEqual([result?.denied, result?.attempts, result?.lost], [6, 2, 6], 'refused without an event of their own');
    t.deepEqual(result?.incomplete, ['unlogged: the fence leaves no log line of what it refuses']);
    t.is(withCode(events, 'sandbox-started')[0]?.unmapped?.attribution, 'uid', 'no line shows the mark');
    // The sets tell of them, in one reading or more.
    const sums: Record<string, number> = {};
    for (const event of refusals(events)) {
      t.is(event.unmapped?.aggregation?.reason, 'unlogged');
      sums[attemptOf(event)] = (sums[attemptOf(event)] ?? 0) + (event.count ?? 1);
    }
    t.deepEqual(sums, { '198.51.100.1 6 80': 1, '198.51.100.2 17 53': 5 });
  },
);
