import { plural } from '../../base/index.ts';
import {
  type DetectionFinding,
  type EventBody,
  type EventContext,
  type FindingKind,
  finding,
  type JsonObject,
  maxRelated,
  type NetworkActivity,
  type RelatedEvent,
} from '../../ocsf/index.ts';

/** Where findings go, and what they are of. */
export type FindingsOptions = {
  readonly now: () => number;
  readonly context: () => EventContext;
  readonly append: (event: EventBody<DetectionFinding>) => void;
};

/** Packets that the host dropped, by the counter of its table. Example: `{spoofed: 2, ipv6: 0}`. */
export type HostDrops = Readonly<Record<string, number>>;

/** Refused packets within a window that make a finding, and how long it must be quiet until the burst is over. */
const bursts = {
  'bypass-burst': { least: 100, windowMs: 10_000, severity: 3 },
  'network-scan': { least: 32, windowMs: 60_000, severity: 4 },
  'metadata-access': { least: 3, windowMs: 60_000, severity: 4 },
} as const;
const quietMs = 60_000;
/** Between two updates of one finding. */
const updateMs = 30_000;
/** Destinations with port that are told apart in a window; a scan has many more. */
const maxTargets = 4096;

type BurstKind = keyof typeof bursts;

type Burst = {
  readonly kind: BurstKind;
  /** Packets; of a scan, destinations with port. */
  count: number;
  packets: number;
  firstSeen: number;
  lastSeen: number;
  readonly targets: Set<string>;
  readonly related: RelatedEvent[];
  relatedCount: number;
  open: Open | undefined;
};

type Step = 'opened' | 'updated' | 'closed';

/** What somebody did again and again, until a minute has passed without it: changes of one ruleset, or forged lines. */
type Deed = {
  readonly kind: 'ruleset-changed' | 'log-forged';
  readonly firstSeen: number;
  readonly open: Open;
  readonly related: RelatedEvent[];
  lastSeen: number;
  count: number;
  severity: 4 | 5;
  message: string;
  evidence: JsonObject;
};

/** Forged lines, by who made them. Example: `{program: 100, rule: 1}`. */
type Forged = Readonly<Record<string, number>>;
const makers: Readonly<Record<string, string>> = {
  program: 'written by a program',
  kernel: 'of a program that has the beginning of the prefix for its name',
  rule: 'by another log rule',
};
const forgedKey = 'log-forged';

/** A finding that was opened and not closed yet. */
type Open = { readonly uid: string; toldAt: number; toldPackets: number };

/**
 * Makes findings of what is seen of a run: one for a burst, however many packets it has, opened when it begins, updated
 * while it grows and closed when it is over. Its memory is bounded.
 *
 * That packets were refused is the guest's word, and the findings say so; that packets came past the fence, and that a
 * ruleset of the host was changed, is the host's own.
 */
export class Findings {
  readonly #options: FindingsOptions;
  readonly #bursts: readonly Burst[];
  readonly #deeds = new Map<string, Deed>();
  readonly #drops: { firstSeen: number; lastSeen: number; last: HostDrops; open: Open | undefined };
  #opened = 0;

  constructor(options: FindingsOptions) {
    this.#options = options;
    this.#bursts = (Object.keys(bursts) as BurstKind[]).map((kind) => newBurst(kind));
    this.#drops = { firstSeen: 0, lastSeen: 0, last: {}, open: undefined };
  }

  /** Findings that were opened. */
  get opened(): number {
    return this.#opened;
  }

  /** Packets that the host dropped although the guest's fence should have. */
  get hostDropped(): number {
    return sumOf(this.#drops.last);
  }

  /** Takes an event of refused packets that was written with `uid`. */
  refused(event: EventBody<NetworkActivity>, uid: string | undefined): void {
    const packets = event.count ?? 1;
    const { ip, port } = event.dst_endpoint ?? {};
    const target = ip === undefined ? undefined : `${ip} ${event.connection_info?.protocol_num} ${port ?? ''}`;
    const now = this.#options.now();
    for (const burst of this.#bursts) {
      if (burst.kind === 'metadata-access' && event.attacks?.[0]?.sub_technique?.uid !== 'T1552.005') continue;
      if (burst.kind === 'network-scan' && target === undefined) continue;
      this.#take(burst, { now, packets, target, uid, typeUid: event.type_uid });
    }
  }

  /** Takes the drop counters of the host's table, as they stand since the sandbox began. */
  hostDrops(drops: HostDrops): void {
    const state = this.#drops;
    if (sumOf(drops) <= sumOf(state.last)) return;
    const now = this.#options.now();
    state.last = { ...drops };
    state.lastSeen = now;
    if (state.open === undefined) {
      state.firstSeen = now;
      state.open = this.#openOne('fence-bypassed', now);
      this.#tellDrops('opened');
    } else if (now - state.open.toldAt >= updateMs) this.#tellDrops('updated');
  }

  /** Takes a change of a ruleset that an event tells of. `where` is one of few words, and not the guest's. */
  rulesetChanged(where: string, message: string, restored: boolean, related: RelatedEvent | undefined): void {
    this.#did('ruleset-changed', where, (deed) => {
      deed.count += 1;
      deed.message = message;
      if (!restored) deed.severity = 5;
      if (related !== undefined && deed.related.length < maxRelated) deed.related.push(related);
      deed.evidence = { ruleset: where, changes: deed.count, origin: where === 'slot' ? 'host' : 'guest' };
    });
  }

  /** Takes lines of the kernel log that were made to look like those of the fence, by one of few words. */
  linesForged(by: string, lines: number): void {
    this.#did('log-forged', forgedKey, (deed) => {
      const before = (deed.evidence['forged'] ?? {}) as Forged;
      const forged = { ...before, [by]: (before[by] ?? 0) + lines };
      deed.count += lines;
      const parts = Object.entries(forged).map(([maker, count]) => `${count} ${makers[maker] ?? maker}`);
      deed.message = `${plural(deed.count, 'line')} of the kernel log looked like the fence's and ${deed.count === 1 ? 'was' : 'were'} not: ${parts.join(', ')}`;
      deed.evidence = { forged, origin: 'guest' };
    });
  }

  /** Closes what is over, and tells what has grown; to be called every few seconds. */
  tick(): void {
    const now = this.#options.now();
    for (const burst of this.#bursts) {
      const { open, lastSeen } = burst;
      if (open === undefined) continue;
      if (now - lastSeen >= quietMs) this.#close(burst);
      else if (now - open.toldAt >= updateMs && burst.packets > open.toldPackets) this.#tell(burst, 'updated');
    }
    for (const [key, deed] of this.#deeds) {
      if (now - deed.lastSeen >= quietMs) this.#tellDeed(key, deed, 'closed');
      else if (now - deed.open.toldAt >= updateMs && deed.count > deed.open.toldPackets) {
        this.#tellDeed(key, deed, 'updated');
      }
    }
    const { open, last } = this.#drops;
    if (open !== undefined && now - open.toldAt >= updateMs && sumOf(last) > open.toldPackets)
      this.#tellDrops('updated');
  }

  /** The run is over, and so is every burst. */
  closeAll(): void {
    for (const burst of this.#bursts) if (burst.open !== undefined) this.#close(burst);
    for (const [key, deed] of this.#deeds) this.#tellDeed(key, deed, 'closed');
    if (this.#drops.open !== undefined) this.#tellDrops('closed');
    this.#drops.open = undefined;
  }

  #take(burst: Burst, seen: Seen): void {
    const { least, windowMs } = bursts[burst.kind];
    const { now, packets, target, uid, typeUid } = seen;
    const age = now - (burst.open === undefined ? burst.firstSeen : burst.lastSeen);
    if (age < 0 || age > (burst.open === undefined ? windowMs : quietMs)) {
      if (burst.open !== undefined) this.#close(burst);
      reset(burst, now);
    }
    if (burst.packets === 0) burst.firstSeen = now;
    burst.lastSeen = now;
    burst.packets += packets;
    burst.relatedCount += 1;
    if (uid !== undefined && burst.related.length < maxRelated) burst.related.push({ uid, typeUid });
    if (target !== undefined && burst.targets.size < maxTargets) burst.targets.add(target);
    burst.count = burst.kind === 'network-scan' ? burst.targets.size : burst.packets;
    if (burst.open !== undefined || burst.count < least) return;
    // Many packets to many destinations are a scan, which says more.
    if (burst.kind === 'bypass-burst' && this.#scanIsOpen()) return;
    burst.open = this.#openOne(burst.kind, now);
    this.#tell(burst, 'opened');
  }

  #scanIsOpen(): boolean {
    return this.#bursts.some(({ kind, open }) => kind === 'network-scan' && open !== undefined);
  }

  #openOne(kind: FindingKind, now: number): Open {
    this.#opened += 1;
    const { runId } = this.#options.context();
    return { uid: `${kind}/${runId}/${this.#opened}`, toldAt: now, toldPackets: 0 };
  }

  #close(burst: Burst): void {
    this.#tell(burst, 'closed');
    reset(burst, this.#options.now());
  }

  #tell(burst: Burst, step: Step): void {
    const { kind, packets, targets, firstSeen, lastSeen, related, relatedCount, open } = burst;
    if (open === undefined) return;
    const now = this.#options.now();
    open.toldAt = now;
    open.toldPackets = packets;
    const many = targets.size >= maxTargets ? `at least ${targets.size}` : String(targets.size);
    this.#append({
      ...{ time: now, uid: open.uid, kind, step, severity: bursts[kind].severity, firstSeen, lastSeen, related },
      relatedCount,
      message: `${plural(packets, 'packet')} to ${many} destinations and ports refused within ${Math.ceil((lastSeen - firstSeen) / 1000)} s`,
      evidence: { packets, targets: targets.size, origin: 'guest' },
    });
  }

  #tellDrops(step: Step): void {
    const { open, firstSeen, lastSeen, last } = this.#drops;
    if (open === undefined) return;
    const now = this.#options.now();
    open.toldAt = now;
    open.toldPackets = sumOf(last);
    const parts = Object.entries(last).filter(([, count]) => count > 0);
    this.#append({
      ...({ time: now, uid: open.uid, kind: 'fence-bypassed', step, severity: 5, firstSeen, lastSeen } as const),
      message: `The host dropped ${plural(sumOf(last), 'packet')} that the guest's fence should have refused: ${parts.map(([name, count]) => `${name} ${count}`).join(', ')}`,
      evidence: { dropped: last, origin: 'host' } as JsonObject,
    });
  }

  #did(kind: Deed['kind'], key: string, add: (deed: Deed) => void): void {
    const now = this.#options.now();
    const known = this.#deeds.get(key);
    const deed = known ?? { ...newDeed(kind, now), open: this.#openOne(kind, now) };
    this.#deeds.set(key, deed);
    deed.lastSeen = now;
    add(deed);
    if (known === undefined) this.#tellDeed(key, deed, 'opened');
    else if (now - deed.open.toldAt >= updateMs) this.#tellDeed(key, deed, 'updated');
  }

  #tellDeed(key: string, deed: Deed, step: Step): void {
    const { kind, open, firstSeen, lastSeen, count, related, severity, message, evidence } = deed;
    const now = this.#options.now();
    open.toldAt = now;
    open.toldPackets = count;
    if (step === 'closed') this.#deeds.delete(key);
    this.#append({
      ...({ time: now, uid: open.uid, kind, step, severity, message, firstSeen, lastSeen, evidence } as const),
      ...(kind === 'ruleset-changed' ? { related, relatedCount: count } : {}),
    });
  }

  #append(input: Parameters<typeof finding>[1]): void {
    this.#options.append(finding(this.#options.context(), input));
  }
}

type Seen = {
  readonly now: number;
  readonly packets: number;
  readonly target: string | undefined;
  readonly uid: string | undefined;
  readonly typeUid: number;
};

function newDeed(kind: Deed['kind'], now: number): Omit<Deed, 'open'> {
  return { kind, firstSeen: now, lastSeen: now, related: [], count: 0, severity: 4, message: '', evidence: {} };
}

function newBurst(kind: BurstKind): Burst {
  return {
    ...{ kind, count: 0, packets: 0, firstSeen: 0, lastSeen: 0, targets: new Set<string>() },
    ...{ related: [], relatedCount: 0, open: undefined },
  };
}

function reset(burst: Burst, now: number): void {
  Object.assign(burst, { count: 0, packets: 0, firstSeen: now, lastSeen: now, relatedCount: 0, open: undefined });
  burst.targets.clear();
  burst.related.length = 0;
}

function sumOf(drops: HostDrops): number {
  return Object.values(drops).reduce((sum, count) => sum + count, 0);
}
