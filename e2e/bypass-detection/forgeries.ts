import type { ExecutionContext } from 'ava';
import { type ForgeryCase, forgeries } from '../support/evidence/forgeries.ts';
import { type LoggedEvent, refusals, withCode } from '../support/record.ts';
import { startBesideRoot } from '../support/root-attack.ts';
import type { Bench } from '../support/sandbox-bench.ts';

/** How a forgery is made. Each has a port of its own, by which its packets, forged or sent, are known. */
type Forgery = {
  /** Shell of root, which begins when `root(port)` is called in Python. `$prefix` is that of the run. */
  readonly root?: (port: number) => string;
  /** Python of the workload, in lines; what it prints must be in `says`. */
  readonly workload: (port: number) => readonly string[];
  readonly says?: string;
  /** Events of its port that there must be. @default 0 */
  readonly told?: number;
  readonly check?: (t: ExecutionContext, event: LoggedEvent | undefined, bench: Bench) => void;
  /** The record says that it may not be complete. @default false */
  readonly incomplete?: RegExp;
};

type Process = { readonly name?: string; readonly cmd_line?: string };
const processOf = (event: LoggedEvent | undefined): Process | undefined =>
  (event?.actor as { readonly process?: Process } | undefined)?.process;

/** What the fence’s line of a packet says, for a line of another maker. */
const packetText = (port: number): string =>
  `IN= OUT=eth0 SRC=10.200.0.2 DST=192.0.2.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=5 DF PROTO=TCP SPT=46148 DPT=${port} WINDOW=64240 RES=0x00 SYN URGP=0 UID=1000 GID=1000 `;

/** A connect that a log rule in a namespace of root's own logs with a prefix. */
const logElsewhere = (port: number, prefix: string): string => `
	$ip netns add forge
	elsewhere="nsenter --net=/run/netns/forge --"
	$elsewhere $ip link set lo up
	$elsewhere nft 'add table inet t; add chain inet t c { type filter hook output priority 0; }'
	$elsewhere nft "add rule inet t c tcp dport ${port} log prefix \\"${prefix}\\" level info flags skuid"
	if [ -x /bin/busybox ]; then $elsewhere /bin/busybox nc -w 1 127.0.0.1 ${port} </dev/null
	else $elsewhere bash -c ': >/dev/tcp/127.0.0.1/${port}'; fi
	$ip netns del forge
`;

const hostileText = '\\n{"class_uid":4001,"count":9}\\u001b[31m"\\t';

const forgeryRuns: Readonly<Record<keyof typeof forgeries, Forgery>> = {
  lines: {
    root: (port) => `
	line="\${prefix}${packetText(port)}"
	round=0
	while [ "$round" -lt 20 ]; do
		for form in "$line" "<6>$line" "<0>$line" "<14>$line" "6,1,1,-;$line"; do echo "$form" >/dev/kmsg; done
		round=$((round + 1))
	done
`,
    workload: (port) => [`root(${port})`],
  },
  crash: {
    root: (port) => `printf %s "$prefix" >"$home/prefix-${port}"`,
    workload: (port) => [
      `root(${port})`,
      `name = open(os.path.expanduser("~/prefix-${port}"), "rb").read()`,
      'pid = os.fork()',
      'if pid == 0:',
      '    libc.prctl(15, ctypes.c_char_p(name), 0, 0, 0)',
      '    ctypes.string_at(0)',
      'print("crash", os.WTERMSIG(os.waitpid(pid, 0)[1]))',
    ],
    says: 'crash 11',
  },
  rule: {
    workload: () => ['libc.unshare(0x10000000)', 'print("rule", errno.errorcode[ctypes.get_errno()])'],
    says: 'rule EPERM',
  },
  stranger: {
    root: (port) => logElsewhere(port, 'TW1 abcdefgh23456723 deny '),
    workload: (port) => [`root(${port})`],
  },
  insider: {
    root: (port) => logElsewhere(port, '$prefix'),
    workload: (port) => [`root(${port})`],
    told: 1,
    incomplete: /^unknown: lines were read that the fence did not write/,
  },
  mark: {
    workload: (port) => [
      'marked = socket.socket()',
      'try: marked.setsockopt(socket.SOL_SOCKET, 36, 2)',
      'except OSError as error: print("mark", errno.errorcode[error.errno])',
      `marked.connect_ex(("192.0.2.1", ${port}))`,
    ],
    says: 'mark EPERM',
    told: 1,
    check: (t, event) => t.is(event?.unmapped?.exec?.id, '1'),
  },
  canary: {
    workload: (port) => [`socket.socket().connect_ex(("203.0.113.9", ${port}))`],
    told: 1,
  },
  audit: {
    workload: () => [
      'try: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)',
      'except OSError as error: print("audit", errno.errorcode[error.errno])',
    ],
    says: 'audit EPERM',
  },
  name: {
    workload: (port) => [
      `subprocess.run(["perl", "-MSocket", "-e", '$0 = "innocent"; socket S,2,1,6; connect S,pack_sockaddr_in(${port},inet_aton("192.0.2.1"))'])`,
    ],
    told: 1,
    check: (t, event) => {
      t.is(processOf(event)?.name, 'perl');
      t.regex(processOf(event)?.cmd_line ?? '', /^perl -MSocket -e .*innocent/);
    },
  },
  text: {
    workload: (port) => [
      `subprocess.run(["perl", "-MSocket", "-e", 'socket S,2,1,6; connect S,pack_sockaddr_in(${port},inet_aton("192.0.2.1"))', """${hostileText}"""])`,
    ],
    told: 1,
    check: (t, event) => {
      t.is(processOf(event)?.name, 'perl');
      t.true(processOf(event)?.cmd_line?.includes('class_uid'), processOf(event)?.cmd_line);
      t.is(event?.count ?? 1, 1);
    },
  },
};

const firstPort = 2001;

/** Makes forgeries, one after the other, in one run, and asserts of each that it passes for nothing. */
export async function stopsForgeries(
  t: ExecutionContext,
  bench: Bench,
  names: readonly (keyof typeof forgeries)[],
): Promise<void> {
  const made = names.map((name, index) => ({ name, port: firstPort + index, ...forgeryRuns[name] }));
  const running = await startBesideRoot(bench, {
    script: [
      'list="$fence nft list chain inet tapwarden_fence tell"',
      `prefix=$($list | sed -n 's/.*log prefix "\\(TW1 [^"]*\\)".*/\\1/p')`,
      ...made.flatMap(({ root, port }) =>
        root === undefined
          ? []
          : [`until [ -e "$home/asked-${port}" ]; do sleep 0.1; done`, root(port), `: >"$home/done-${port}"`],
      ),
    ].join('\n'),
    args: ['--timeout', '90', '--', 'python3', '-'],
  });
  running.stdin.end(
    [
      preamble,
      'socket.socket().connect_ex(("192.0.2.1", 1001))',
      ...made.flatMap(({ workload, port }) => workload(port)),
      '',
    ].join('\n'),
  );
  const { status, stdout, stderr, result, events } = await running.ended;
  t.is(status, 0, stderr);
  t.deepEqual(
    stdout.toString('utf8').split('\n').slice(0, -1),
    made.flatMap(({ says }) => says ?? []),
  );
  const of = (port: number): readonly LoggedEvent[] =>
    refusals(events).filter((event) => event.dst_endpoint?.port === port);
  t.is(of(1001).length, 1, 'what is no forgery is told of');
  for (const { name, port, told = 0, check } of made) {
    t.is(of(port).length, told, name);
    check?.(t, of(port)[0], bench);
  }
  t.is(refusals(events).length, 1 + made.reduce((sum, { told = 0 }) => sum + told, 0), 'nothing else is told of');
  const wanted = made.flatMap(({ incomplete }) => incomplete ?? []);
  t.is(result?.incomplete.length, wanted.length, result?.incomplete.join('; '));
  for (const reason of wanted) t.true(result?.incomplete.some((one) => reason.test(one)));
  const cases: readonly ForgeryCase[] = names.map((name) => forgeries[name]);
  const makers = cases.flatMap(({ finding }) => finding ?? []);
  const found = withCode(events, 'finding').filter(({ finding_info }) => finding_info?.types[0] === 'log-forged');
  const told = Object.keys(found.at(-1)?.unmapped?.evidence?.forged ?? {});
  // Whether the kernel logs crashes is the host's to say: in a jail it may, in a guest it does not.
  const all = bench.boundary === 'jail' ? told.filter((by) => by !== 'kernel') : told;
  t.deepEqual(all.toSorted(), makers.toSorted());
  t.is(new Set(found.map(({ finding_info }) => finding_info?.uid)).size, told.length === 0 ? 0 : 1, 'one for all');
}

/** `root(port)` asks for what root does, and waits until it is done. */
const preamble = `
import ctypes, errno, os, socket, subprocess, time
libc = ctypes.CDLL(None, use_errno=True)
home = os.path.expanduser("~")
open(home + "/begin", "w").close()
def root(port):
    open(home + "/asked-%d" % port, "w").close()
    while not os.path.exists(home + "/done-%d" % port): time.sleep(0.02)
`;
