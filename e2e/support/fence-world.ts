import type { ExecutionContext } from 'ava';
import type { Argv } from '../../base/index.ts';
import type { Fact } from '../../channel/index.ts';
import { makeLogTag } from '../../nft/index.ts';
import { Canaries } from '../../supervisor/canaries.ts';
import { FenceAccount } from '../../supervisor/fence-account.ts';
import { inWorkloadNamespace, loadFence, workloadNamespacePath } from '../../supervisor/fence-loader.ts';
import { awaitLocalAddress } from '../../supervisor/local-address.ts';
import { Monitor } from '../../supervisor/monitor.ts';
import { namespaceSetup, openWorkloadNamespace } from '../../supervisor/workload-namespace.ts';
import { type ExecCgroups, makeExecCgroups } from './exec-cgroups.ts';
import { setLogSwitch } from './log-switch.ts';
import { makeScratchNamespace, type ScratchNamespace } from './scratch-namespace.ts';

/** A fence with its monitor, account and canaries, as the supervisor has them. */
export type FenceWorld = {
  readonly scratch: ScratchNamespace;
  /** The run's secret in the log prefix. */
  readonly tag: string;
  readonly cgroups: ExecCgroups;
  readonly account: FenceAccount;
  readonly canaries: Canaries;
  readonly facts: Fact[];
  readonly monitor: Monitor;
  /** Commands of nft that changed the fence after it was loaded. */
  readonly changes: () => number;
  /** Runs a command in the workload's namespace as an exec. */
  readonly as: (exec: number, ...argv: readonly string[]) => Promise<void>;
};

/** A fence, a monitor and an account, as the supervisor has them, in namespaces and cgroups of the test. */
export async function makeFenceWorld(
  t: ExecutionContext,
  changes: { readonly rotateAt?: number; readonly log?: boolean; readonly stalledMs?: number } = {},
): Promise<FenceWorld> {
  const log = changes.log ?? true;
  await setLogSwitch(log ? '1' : '0');
  const scratch = await makeScratchNamespace();
  t.teardown(async () => await scratch.close());
  const cgroups = await makeExecCgroups(3);
  t.teardown(async () => await cgroups.close());
  const tag = makeLogTag(Buffer.from(Array.from({ length: 16 }, () => Math.random() * 256)));
  const facts: Fact[] = [];
  let account: FenceAccount | undefined;
  const namespace = `/proc/${scratch.pid}/root${workloadNamespacePath}`;
  const canaries = new Canaries({ namespace, logging: log, settleLog: async () => await monitor.settle() });
  const monitor: Monitor = await Monitor.open({
    tag,
    ...(changes.stalledMs === undefined ? {} : { stalledMs: changes.stalledMs }),
    onFact: (fact) => {
      if (fact.kind !== 'denied-packet') facts.push(fact);
      else if (!canaries.take(fact)) account?.take(fact);
    },
  });
  t.teardown(async () => await monitor.stop());
  await scratch.run(['sh', '-euc', namespaceSetup.script], { env: namespaceSetup.env });
  const fence = await loadFence(scratch.run, { tag, direct: [], allowUnlogged: !log, execs: cgroups.marks });
  await openWorkloadNamespace(scratch.run);
  await awaitLocalAddress(namespace);
  let nftCalls = 0;
  account = new FenceAccount({
    run: async (argv, options) => {
      if (argv.includes('nft')) nftCalls += 1;
      return await scratch.run(argv, options);
    },
    namespace,
    fence: { tag, direct: [], ...fence },
    settleLog: async () => await monitor.settle(),
    onFact: (fact) => facts.push(fact),
    ...(changes.rotateAt === undefined ? {} : { rotateAt: changes.rotateAt }),
  });
  t.teardown(async () => await account?.stop());
  const as: FenceWorld['as'] = async (exec, ...argv) =>
    void (await scratch.run([...cgroups.enter(exec), ...inWorkloadNamespace, ...argv] as unknown as Argv));
  return { scratch, tag, cgroups, account, canaries, facts, monitor, changes: () => nftCalls, as };
}
