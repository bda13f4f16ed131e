import { readFileSync, writeFileSync } from 'node:fs';
import { inNetworkNamespace, loadOverrunGuard, messageOf } from '../base/index.ts';
import type { Fact } from '../channel/index.ts';
import { NfnetlinkSocket } from '../nft/nfnetlink-socket.ts';
import type { RulesetPart } from '../nft/ruleset-dump.ts';
import { type RulesetChange, RulesetChanges, RulesetWatch } from '../nft/ruleset-watch.ts';
import { type ExecMark, markElement } from './exec-marks.ts';
import { accountSetNames, execsMap, type Generation } from './fence.ts';
import { logSwitch } from './fence-loader.ts';
import { fenceTable } from './fence-table.ts';

/** What a watch of the fence needs. */
export type FenceWatchOptions = {
  /** Where the workload's network namespace is bound. */
  readonly namespace: string;
  /** Calls its argument with the generation of sets that is counted in, while nobody else changes the fence. */
  readonly reload: (load: (generation: Generation) => Promise<void>) => Promise<void>;
  readonly onFact: (fact: Extract<Fact, { kind: 'ruleset-changed' }>) => void;
  /** Whether the guest's own table is watched too. @default true */
  readonly withGuestTable?: boolean;
  /** Whether the log's switch is to be 1, and ours to set: in a jail it is the host's. */
  readonly withLogSwitch: boolean;
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
        restore: async (giveBack) =>
          await options.reload(async (generation) => await giveBack((parts) => inGeneration(generation, parts))),
        onChange: tell('fence'),
      }),
    );
    if (options.withGuestTable !== false) {
      watch.#watches.push(await RulesetWatch.open({ ...sockets(), onChange: tell('guest') }));
    }
    if (options.withLogSwitch) {
      watch.#timer = setInterval(() => watch.#lookAtSwitch(), options.switchMs ?? 500).unref();
    }
    return watch;
  }

  /**
   * Gives a later exec its mark, which is a part of what should stand from then on.
   *
   * @throws NFT_REJECTED when the kernel does not take it: its packets are then counted with no exec
   */
  async addExec(exec: ExecMark): Promise<void> {
    await this.#watches[0]?.add(fenceTable, execsMap, [markElement(exec)]);
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

/** The names of the sets that rotate, those of one purpose together. They are of one length. */
const rotating: readonly Readonly<Record<Generation, string>>[] = accountSetNames('a').map((a, index) => ({
  a,
  b: accountSetNames('b')[index] ?? a,
}));
const rotatingNames: ReadonlySet<string> = new Set(rotating.flatMap(({ a, b }) => [a, b]));

/** A part of the fence as it is compared: sets rotate by design, and rules follow them. */
function comparedOfFence(part: RulesetPart): RulesetPart | undefined {
  return isRotating(part) ? undefined : withSetsOf('a', part);
}

/** The fence with the sets that are counted in now, of those that rotate. */
function inGeneration(generation: Generation, parts: readonly RulesetPart[]): readonly RulesetPart[] {
  const names = new Set<string>();
  return parts.flatMap((part) => {
    const now = withSetsOf(generation, part);
    if (isRotating(part) && names.has(now.name)) return [];
    if (isRotating(part)) names.add(now.name);
    return now;
  });
}

/** Whether a part is a set that is there only while it is counted in, or read for the last time. */
function isRotating({ kind, table, name }: RulesetPart): boolean {
  return kind === 'set' && table === fenceTable.name && rotatingNames.has(name);
}

/** A rule or set of the fence that names the sets of a generation in place of those of the other. */
function withSetsOf(generation: Generation, part: RulesetPart): RulesetPart {
  if (part.table !== fenceTable.name || (part.kind !== 'rule' && !isRotating(part))) return part;
  let { name, content, bytes } = part;
  for (const names of rotating) {
    const [from, to] = [names[generation === 'a' ? 'b' : 'a'], names[generation]];
    if (!bytes.includes(`${from}\0`)) continue;
    name = name === from ? to : name;
    content = content.replaceAll(asHex(from), asHex(to));
    bytes = Buffer.from(bytes.toString('latin1').replaceAll(`${from}\0`, `${to}\0`), 'latin1');
  }
  return bytes === part.bytes ? part : { ...part, name, content, bytes };
}

/** A name as it stands in a part's content. */
function asHex(name: string): string {
  return Buffer.from(`${name}\0`).toString('hex');
}
