import { setTimeout as sleep } from 'node:timers/promises';
import { type Argv, type Child, start } from '../../base/index.ts';
import type { DeniedPacketFact, Origin } from '../../channel/index.ts';
import { applyRuleset, makeLogTag } from '../../nft/index.ts';
import { workloadNet } from '../../supervisor/addresses.ts';
import {
  type Attribution,
  type AttributionOptions,
  openAttribution,
} from '../../supervisor/attribution/attribution.ts';
import { LogMarker } from '../../supervisor/attribution/log-marker.ts';
import { monotonicMs } from '../../supervisor/attribution/monotonic.ts';
import { type ExecMarks, fenceRuleset } from '../../supervisor/fence.ts';
import { Monitor } from '../../supervisor/monitor.ts';
import { makeExecCgroups } from './exec-cgroups.ts';
import { readLogSwitch, setLogSwitch } from './log-switch.ts';
import { makeScratchNamespace, type ScratchNamespace } from './scratch-namespace.ts';

/** A refused packet and who sent it, by our word. */
export type Told = { readonly fact: DeniedPacketFact; readonly origin: Origin };

/**
 * A network namespace with a fence that refuses and logs all but loopback, and attribution that watches it. The mark of a
 * packet is that of the exec in whose cgroup its socket was made, as in a guest; beside that each exec has a user of its own.
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

/** Makes one. Where the kernel cannot log from other namespaces, nothing is told of. */
export async function makeAttributionWorld(options: Partial<AttributionOptions> = {}): Promise<AttributionWorld> {
  const found = await readLogSwitch();
  const scratch = await makeScratchNamespace();
  const tag = makeLogTag(Buffer.from(Array.from({ length: 16 }, () => Math.random() * 256)));
  const marker = new LogMarker(tag);
  const waiting: Promise<Told>[] = [];
  const told: Told[] = [];
  const opened: { attribution?: Attribution } = {};
  const monitor = await Monitor.open({
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
  const cgroups = await makeExecCgroups(3);
  await makeNetwork(scratch, tag, cgroups.marks);
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
        ...(cgroups.enter(exec) as readonly ['sh']),
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
      await cgroups.close();
      if (found !== undefined) await setLogSwitch(found);
    },
  };
}

/** A namespace like a workload's: one link, default routes by it, and the fence of the product. */
async function makeNetwork(scratch: ScratchNamespace, tag: string, marks: ExecMarks): Promise<void> {
  const n = workloadNet;
  const script = `
    for scope in all default; do
      echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_dad
      echo 0 >/proc/sys/net/ipv6/conf/$scope/router_solicitations
    done
    ip link add ${n.workloadLink} address ${n.workloadMac} type veth peer name outer address ${n.supervisorMac}
    ip link set ${n.workloadLink} addrgenmode none
    ip link set outer addrgenmode none
    ip addr add ${n.workloadIp4}/${n.prefix4} dev ${n.workloadLink}
    ip addr add ${n.workloadIp6}/${n.prefix6} dev ${n.workloadLink} nodad
    ip link set ${n.workloadLink} up
    ip link set outer up
    ip neigh add ${n.supervisorIp4} lladdr ${n.supervisorMac} nud permanent dev ${n.workloadLink}
    ip neigh add ${n.supervisorIp6} lladdr ${n.supervisorMac} nud permanent dev ${n.workloadLink}
    ip route add default via ${n.supervisorIp4}
    ip -6 route add default via ${n.supervisorIp6}`;
  await scratch.run(['sh', '-euc', script]);
  const fence = { tag, direct: [], log: true, account: true, execs: marks, generation: 'a' } as const;
  await applyRuleset({ run: scratch.run }, fenceRuleset(fence));
}
