import { setTimeout as sleep } from 'node:timers/promises';
import { type Argv, type Child, start } from '../../base/index.ts';
import type { DeniedPacketFact, Origin } from '../../channel/index.ts';
import { applyRuleset, encodeLogPrefix, makeLogTag } from '../../nft/index.ts';
import {
  type Attribution,
  type AttributionOptions,
  openAttribution,
} from '../../supervisor/attribution/attribution.ts';
import { LogMarker } from '../../supervisor/attribution/log-marker.ts';
import { monotonicMs } from '../../supervisor/attribution/monotonic.ts';
import { Monitor } from '../../supervisor/monitor.ts';
import { readLogSwitch, setLogSwitch } from './log-switch.ts';
import { makeScratchNamespace, type ScratchNamespace } from './scratch-namespace.ts';

/** A refused packet and who sent it, by our word. */
export type Told = { readonly fact: DeniedPacketFact; readonly origin: Origin };

/**
 * A network namespace with a fence that refuses and logs all but loopback, and attribution that watches it. The mark of a
 * packet is that of the exec in which its socket was made, as in a guest; here it follows from the user, of which each
 * exec has one.
 */
export type AttributionWorld = {
  readonly scratch: ScratchNamespace;
  readonly attribution: Attribution;
  readonly told: readonly Told[];
  /** Starts a program as a workload, of the exec of that number (1 to 3), and answers with its process. */
  readonly start: (exec: number, argv: Argv, options?: { readonly id?: boolean }) => Child;
  /** Like `start`, to its end. */
  readonly run: (exec: number, argv: Argv) => Promise<{ readonly pid: number }>;
  /** All that was refused up to now, with its origin. */
  readonly settle: () => Promise<readonly Told[]>;
  readonly close: () => Promise<void>;
};

/** The audit session ids of the tests; no person's session has such a one. */
export const testIds = { first: 1_953_960_000, last: 1_953_960_100 } as const;
/** Users of execs 1 to 3, whom nobody else is. */
export const uidOfExec = (exec: number): number => 71_000 + exec;

export async function makeAttributionWorld(options: Partial<AttributionOptions> = {}): Promise<AttributionWorld> {
  const found = await readLogSwitch();
  const scratch = await makeScratchNamespace();
  const tag = makeLogTag(Buffer.from(Array.from({ length: 16 }, () => Math.random() * 256)));
  const marker = new LogMarker(tag);
  const waiting: Promise<Told>[] = [];
  const told: Told[] = [];
  const opened: { attribution?: Attribution } = {};
  const monitor = new Monitor({
    tag,
    onOther: (record) => marker.take(record),
    onFact: (fact) => {
      if (fact.kind !== 'denied-packet' || opened.attribution === undefined) return;
      const answer = opened.attribution.attribute(fact, monotonicMs()).then((origin) => ({ fact, origin }));
      waiting.push(answer);
      void answer.then((one) => told.push(one));
    },
  });
  await setLogSwitch('1');
  await makeNetwork(scratch, tag);
  await monitor.settle();
  const attribution = await openAttribution({
    ids: testIds,
    namespace: `/proc/${scratch.pid}/ns/net`,
    mark: async () => await marker.write(),
    ...options,
  });
  opened.attribution = attribution;
  const children: Child[] = [];
  const startOne: AttributionWorld['start'] = (exec, argv, { id = true } = {}) => {
    const uid = String(uidOfExec(exec));
    const own = id ? `echo ${testIds.first + exec} >/proc/self/loginuid && ` : '';
    const child = start(
      [
        'nsenter',
        `--target=${scratch.pid}`,
        '--net',
        '--',
        'sh',
        '-c',
        `${own}exec "$@"`,
        'sh',
        'setpriv',
        `--reuid=${uid}`,
        `--regid=${uid}`,
        '--clear-groups',
        '--',
        ...argv,
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    child.process.stdout?.on('error', () => undefined).resume();
    children.push(child);
    return child;
  };
  return {
    scratch,
    attribution,
    told,
    start: startOne,
    run: async (exec, argv) => {
      const child = startOne(exec, argv);
      await child.ended;
      return { pid: child.process.pid ?? 0 };
    },
    settle: async () => {
      // A record may be on its way to the log for a moment after its process has ended.
      await sleep(20);
      await monitor.settle();
      return await Promise.all(waiting);
    },
    close: async () => {
      for (const child of children) child.process.kill('SIGKILL');
      await Promise.all(children.map(async ({ ended }) => await ended));
      await attribution.close();
      await monitor.stop();
      await scratch.close();
      if (found !== undefined) await setLogSwitch(found);
    },
  };
}

async function makeNetwork(scratch: ScratchNamespace, tag: string): Promise<void> {
  const script = `
    for scope in all default; do
      echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_dad
      echo 0 >/proc/sys/net/ipv6/conf/$scope/router_solicitations
    done
    ip link add inner address 02:00:00:00:00:01 type veth peer name outer address 02:00:00:00:00:02
    ip addr add 10.200.0.2/30 dev inner
    ip addr add fd00:200::2/126 dev inner nodad
    ip link set inner addrgenmode none
    ip link set outer addrgenmode none
    ip link set inner up
    ip link set outer up
    ip neigh add 10.200.0.1 lladdr 02:00:00:00:00:02 nud permanent dev inner
    ip neigh add fd00:200::1 lladdr 02:00:00:00:00:02 nud permanent dev inner
    ip route add default via 10.200.0.1
    ip -6 route add default via fd00:200::1`;
  await scratch.run(['sh', '-euc', script]);
  const rule = (body: string): { readonly body: string; readonly comment: string } => ({ body, comment: 'test' });
  await applyRuleset(
    { run: scratch.run },
    {
      table: { family: 'inet', name: 'tw_attribution' },
      counters: [],
      sets: [],
      chains: [
        {
          name: 'output',
          hook: { type: 'filter', hook: 'output', priority: 0, policy: 'drop' },
          rules: [
            rule('oifname "lo" accept'),
            rule('icmpv6 type { 133, 135, 136, 143 } drop'),
            ...[1, 2, 3].map((exec) => rule(`meta skuid ${uidOfExec(exec)} meta mark set ${exec}`)),
            rule(`log prefix "${encodeLogPrefix({ tag })}" level info flags skuid`),
            rule('meta l4proto tcp reject with tcp reset'),
            rule('reject with icmpx admin-prohibited'),
          ],
        },
      ],
    },
  );
}
