import { type GuestChanges, makeGuest } from '../support/guest-variant.ts';
import { withCode } from '../support/record.ts';
import { vmTest } from '../support/vm-test.ts';

/** Without it the kernel refuses the fence as the host compiled it, and the guest's nft has to make one. */
const withoutModules = ['nft_socket'];

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
      withoutModules,
      moved: { '/usr/sbin/nft': '/usr/sbin/nft.shipped' },
      programs: { '/usr/sbin/nft': failingNft },
    },
    code: 'NFT_REJECTED',
    says: /refused the ruleset of table inet tapwarden_guest: Error: Could not process rule: Operation not supported/,
  },
  {
    title: 'whose nft does nothing and ends in order',
    changes: { withoutModules, programs: { '/usr/sbin/nft': idleNft } },
    code: 'NFT_REJECTED',
    says: /the kernel told of 0 of \d+ rules of table inet tapwarden_guest/,
  },
  {
    title: 'whose fence says nothing of what it refuses',
    changes: {
      withoutModules,
      moved: { '/usr/sbin/nft': '/usr/sbin/nft.shipped' },
      programs: { '/usr/sbin/nft': silentNft },
    },
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
