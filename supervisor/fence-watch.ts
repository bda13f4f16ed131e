import { readFileSync, writeFileSync } from 'node:fs';
import { inNetworkNamespace, loadOverrunGuard, messageOf, type Run } from '../base/index.ts';
import type { Fact } from '../channel/index.ts';
import { familyNames } from '../nft/family-names.ts';
import { type Ruleset, removeTablesByHandle, restoreRuleset } from '../nft/index.ts';
import { NfnetlinkSocket } from '../nft/nfnetlink-socket.ts';
import type { RulesetPart } from '../nft/ruleset-dump.ts';
import { type RulesetChange, RulesetChanges, RulesetWatch, tablesBeside } from '../nft/ruleset-watch.ts';
import { accountSetNames, type ExecMarks, execsMap, type FenceSpec, fenceRuleset, type Generation } from './fence.ts';
import { inWorkloadNamespace, logSwitch } from './fence-loader.ts';
import { fenceTable } from './fence-table.ts';
import { guestRuleset, guestTable } from './guest-table.ts';
import { place } from './place.ts';

/** What a watch of the fence needs. */
export type FenceWatchOptions = {
  readonly run: Run;
  /** Where the workload's network namespace is bound. */
  readonly namespace: string;
  /** The fence as it was loaded. */
  readonly fence: Omit<FenceSpec, 'generation'>;
  /** Calls its argument with the generation of sets that is counted in, while nobody else changes the fence. */
  readonly reload: (load: (generation: Generation) => Promise<void>) => Promise<void>;
  readonly onFact: (fact: Extract<Fact, { kind: 'ruleset-changed' }>) => void;
  /** Whether the guest's own table is watched too. @default true */
  readonly withGuestTable?: boolean;
  /** Whether the log's switch is ours to set: in a jail it is the host's. @default true */
  readonly withLogSwitch?: boolean;
  /** How programs are put into the workload's namespace. @default {@link inWorkloadNamespace} */
  readonly enter?: readonly string[];
  /** @default the kernel's switch */
  readonly switchPath?: string;
  /** Between two looks at the switch, of which the kernel does not tell. @default 500 */
  readonly switchMs?: number;
};

/** A line of a difference that is passed on. */
const maxLine = 400;

/**
 * Watches what fences the workload in the guest, the fence, the guest's own table and the switch of the log: whatever
 * somebody changes is told of and put right. Whoever is root here can end this watch too; the host's tables stand all the
 * same.
 *
 * Not imported where the supervisor starts: it loads two native modules.
 */
export class FenceWatch {
  readonly #options: FenceWatchOptions;
  readonly #watches: RulesetWatch[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** The marks of execs that came later than the fence. */
  #later: ExecMarks['cgroups'] = [];
  /** Why the switch could not be put right when it was looked at last. */
  #problem: string | undefined;

  private constructor(options: FenceWatchOptions) {
    this.#options = options;
  }

  /**
   * Takes what stands now as what should stand.
   *
   * @throws NAMESPACE_FAILED, NFT_UNREADABLE when it cannot be read
   */
  static async open(options: FenceWatchOptions): Promise<FenceWatch> {
    const watch = new FenceWatch(options);
    const guard = await loadOverrunGuard();
    const sockets = () => ({ socket: new NfnetlinkSocket(), changes: guard(() => new RulesetChanges()) });
    const tell = (where: 'fence' | 'guest') => (change: RulesetChange) => watch.#tell(where, change);
    watch.#watches.push(
      await RulesetWatch.open({
        ...(await inNetworkNamespace(options.namespace, sockets)),
        compared: comparedOfFence,
        restore: async (found) => await options.reload((generation) => watch.#restoreFence(generation, found)),
        onChange: tell('fence'),
      }),
    );
    if (options.withGuestTable !== false) {
      watch.#watches.push(
        await RulesetWatch.open({
          ...sockets(),
          restore: async (found) => {
            const target = { run: options.run };
            await restoreRuleset(target, guestRuleset(options.fence.direct, place.uplink), { over: false });
            await removeTablesByHandle(target, tablesBeside([guestTable], found));
          },
          onChange: tell('guest'),
        }),
      );
    }
    if (options.fence.log && options.withLogSwitch !== false)
      watch.#timer = setInterval(() => watch.#lookAtSwitch(), options.switchMs ?? 500).unref();
    return watch;
  }

  /** Takes the mark of a later exec, which `add` puts into the fence, for a part of what should stand. */
  async addExec(exec: ExecMarks['cgroups'][number], add: () => Promise<void>): Promise<void> {
    await this.#watches[0]?.adding(execsMap, add);
    this.#later = [...this.#later, exec];
  }

  /** Waits until every change up to now is told of. */
  async settle(): Promise<void> {
    if (this.#timer !== undefined) this.#lookAtSwitch();
    for (const watch of this.#watches) await watch.settle();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const watch of this.#watches) watch.close();
  }

  /**
   * Loads the fence over what is left of it, so that its counts go on; anew only where somebody put something into its table
   * that loading it over does not take away.
   */
  async #restoreFence(generation: Generation, found: readonly RulesetPart[]): Promise<void> {
    const { run, fence, enter = inWorkloadNamespace } = this.#options;
    const target = { run, enter };
    const execs = fence.execs && { ...fence.execs, cgroups: [...fence.execs.cgroups, ...this.#later] };
    const ruleset = fenceRuleset({ ...fence, execs, generation });
    await restoreRuleset(target, ruleset, { over: !hasStrangers(ruleset, found) });
    await removeTablesByHandle(target, tablesBeside([fenceTable], found));
  }

  #lookAtSwitch(): void {
    const path = this.#options.switchPath ?? logSwitch;
    const begun = Date.now();
    const before = this.#problem;
    this.#problem = undefined;
    try {
      if (readFileSync(path, 'utf8').trim() === '1') return;
      writeFileSync(path, '1');
    } catch (error) {
      this.#problem = messageOf(error);
      // What cannot be put right is told of once.
      if (this.#problem === before) return;
    }
    this.#tell('log-switch', {
      difference: [this.#problem ?? 'nf_log_all_netns was not 1'],
      differences: 1,
      restoredMs: this.#problem === undefined ? Date.now() - begun : null,
    });
  }

  #tell(where: 'fence' | 'guest' | 'log-switch', { difference, differences, restoredMs }: RulesetChange): void {
    const lines = difference.map((line) => line.slice(0, maxLine));
    this.#options.onFact({ kind: 'ruleset-changed', where, difference: lines, differences, restoredMs });
  }
}

const generations: readonly Generation[] = ['a', 'b'];
/** The names of the sets that rotate, and the one that stands for both in a comparison; as the kernel's bytes. */
const rotating: readonly (readonly [from: string, to: string])[] = generations.flatMap((generation) =>
  accountSetNames(generation).map((name, index) => {
    const hex = (text: string): string => Buffer.from(`${text}\0`).toString('hex');
    return [hex(name), hex(accountSetNames('a')[index] ?? name)] as const;
  }),
);
const rotatingNames: ReadonlySet<string> = new Set(generations.flatMap((generation) => accountSetNames(generation)));

/** A part of the fence as it is compared: sets rotate by design, and rules follow them. */
function comparedOfFence(part: RulesetPart): RulesetPart | undefined {
  if (part.table !== fenceTable.name) return part;
  if (part.kind === 'set') return rotatingNames.has(part.name) ? undefined : part;
  if (part.kind !== 'rule') return part;
  return { ...part, content: rotating.reduce((content, [from, to]) => content.replaceAll(from, to), part.content) };
}

/** Whether the fence's table has chains, sets or counters that are not its own, or is no table of ours. */
function hasStrangers({ table, chains, sets, counters }: Ruleset, found: readonly RulesetPart[]): boolean {
  const own: Readonly<Record<string, readonly string[]>> = {
    chain: chains.map(({ name }) => name),
    object: [...counters],
    set: [...sets.map(({ name }) => name), ...rotatingNames],
  };
  return found.some(
    ({ kind, family, table: name, name: part }) =>
      name === table.name &&
      familyNames[family] === table.family &&
      own[kind]?.includes(part) === false &&
      // Sets without a name of their own go with their rules.
      !part.startsWith('__'),
  );
}
