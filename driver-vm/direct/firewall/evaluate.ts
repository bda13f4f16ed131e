import { effectOf } from './effect.ts';
import { type ListedChain, type ListedRule, type Listing, nameIn } from './listing.ts';
import type { HookName, Packet } from './packet.ts';
import type { Marks } from './value.ts';

/** What a host's tables do to a packet, and where they drop it. */
export type Verdict = {
  readonly kind: 'accepts' | 'may-drop' | 'drops';
  readonly drops: readonly Drop[];
  /** How many rules were looked at. */
  readonly steps: number;
};

/** A base chain that drops a packet. Example: `{family: 'ip', table: 'filter', chain: 'FORWARD', by: 'its policy', certain: true}`. */
export type Drop = {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  /** Its policy, or a rule by chain and handle. */
  readonly by: string;
  /** Whether no way through the chain lets the packet pass. */
  readonly certain: boolean;
};

/** How many rules are looked at for one packet at the most: chains that jump to chains can multiply. */
const maxSteps = 100_000;
/** The kernel's own limit. Source: NFT_JUMP_STACK_SIZE in include/net/netfilter/nf_tables.h. */
const maxDepth = 16;

/**
 * Follows a packet through a host's base chains, in the order of hooks and priorities, and says whether they let it pass.
 * What cannot be known from the listing counts as possible both ways, so that `drops` and `accepts` are sure.
 *
 * Replies are followed from `forward` on: before, they carry another address.
 *
 * Source: nft(8); libnftables-json(5).
 */
export function evaluate(listing: Listing, packet: Packet): Verdict {
  const walk = new Walk(listing, packet);
  const hooks: readonly HookName[] = ['prerouting', 'forward', 'postrouting', 'egress'];
  for (const hook of packet.direction === 'original' ? hooks : hooks.slice(1)) {
    for (const chain of baseChains(listing, packet, hook)) walk.base(chain, hook);
  }
  const { drops, steps } = walk;
  const kind = drops.some(({ certain }) => certain) ? 'drops' : drops.length > 0 ? 'may-drop' : 'accepts';
  return { kind, drops, steps };
}

function baseChains(listing: Listing, packet: Packet, hook: HookName): readonly ListedChain[] {
  return [...listing.chains.values()]
    .filter((chain) => {
      if (chain.hook !== hook) return false;
      if (hook === 'egress') return chain.devices.includes(packet.oifname);
      // Translation is decided by the first packet alone.
      if (chain.type === 'nat' && packet.direction === 'reply') return false;
      return chain.family === 'inet' || chain.family === packet.family;
    })
    .sort((a, b) => a.priority - b.priority);
}

/** What may come of a rule: the packet passes, is dropped, leaves the chain, or goes on to the next rule. */
type Outcome = {
  readonly accept: boolean;
  readonly drops: readonly string[];
  readonly leave: boolean;
  readonly next: boolean;
};

const nothing: Outcome = { accept: false, drops: [], leave: false, next: false };

/** A packet on its way. */
class Walk {
  readonly drops: Drop[] = [];
  steps = 0;
  readonly #listing: Listing;
  readonly #packet: Packet;
  #marks: Marks;

  constructor(listing: Listing, packet: Packet) {
    this.#listing = listing;
    this.#packet = packet;
    // A reply may get the mark of its connection back before it is forwarded.
    this.#marks = { mark: packet.direction === 'original' ? 0 : undefined, tracked: true };
  }

  base(chain: ListedChain, hook: HookName): void {
    const { accept, leave, drops } = this.#chain(chain, hook, 0, true);
    const passes = accept || (leave && chain.policy === 'accept');
    const reasons = [...drops, ...(leave && chain.policy === 'drop' ? ['its policy'] : [])];
    for (const by of reasons) {
      this.drops.push({ family: chain.family, table: chain.table, chain: chain.name, by, certain: !passes });
    }
  }

  /** Runs a chain; `leave` is that the packet comes out of its end. `sure` is that it gets here in any case. */
  #chain(chain: ListedChain, hook: HookName, depth: number, sure: boolean): Outcome {
    const drops = new Set<string>();
    let accept = false;
    let leave = false;
    let onlyWay = sure;
    for (const rule of chain.rules) {
      this.steps += 1;
      if (this.steps > maxSteps || depth > maxDepth) {
        return { accept: true, drops: [...drops, 'rules that are too many to follow'], leave: true, next: false };
      }
      const done = this.#rule(chain, rule, hook, depth, onlyWay);
      for (const drop of done.drops) drops.add(drop);
      accept ||= done.accept;
      leave ||= done.leave;
      if (!done.next) return { accept, drops: [...drops], leave, next: false };
      onlyWay &&= !(done.accept || done.leave || done.drops.length > 0);
    }
    return { accept, drops: [...drops], leave: true, next: false };
  }

  #rule(chain: ListedChain, rule: ListedRule, hook: HookName, depth: number, onlyWay: boolean): Outcome {
    const find = (name: string) => this.#listing.elements.get(nameIn(chain.family, chain.table, name));
    let sure = true;
    let outcome = nothing;
    for (const [at, statement] of rule.statements.entries()) {
      const place = { packet: this.#packet, hook, marks: this.#marks };
      const effect = effectOf(statement, rule.statements.slice(at + 1), place, find);
      if (effect.truth === 'no') return { ...outcome, next: true };
      if (effect.truth === 'maybe') sure = false;
      if (effect.marks !== undefined) this.#mark(effect.marks, sure && onlyWay);
      if (effect.verdicts.length === 0) continue;
      const certain = sure && effect.verdicts.length === 1;
      for (const verdict of effect.verdicts) {
        outcome = union(outcome, this.#verdict(verdict, chain, rule, hook, depth, certain && onlyWay));
      }
      if (!effect.passes) return sure ? outcome : { ...outcome, next: true };
    }
    return { ...outcome, next: true };
  }

  #verdict(
    verdict: ReturnType<typeof effectOf>['verdicts'][number],
    chain: ListedChain,
    rule: ListedRule,
    hook: HookName,
    depth: number,
    sure: boolean,
  ): Outcome {
    switch (verdict.kind) {
      case 'accept':
        return { ...nothing, accept: true };
      case 'drop':
        return { ...nothing, drops: [`a rule of chain ${chain.name} (handle ${rule.handle})`] };
      case 'return':
        return { ...nothing, leave: true };
      case 'next':
        return { ...nothing, next: true };
      case 'jump':
      case 'goto': {
        const target = this.#listing.chains.get(nameIn(chain.family, chain.table, verdict.target));
        if (target === undefined) return { accept: true, drops: [`chain ${verdict.target}`], leave: true, next: true };
        const inner = this.#chain(target, hook, depth + 1, sure);
        return verdict.kind === 'goto' ? inner : { ...inner, leave: false, next: inner.leave };
      }
    }
  }

  #mark(marks: Marks, sure: boolean): void {
    const mark = sure || marks.mark === this.#marks.mark ? marks.mark : undefined;
    this.#marks = { mark, tracked: this.#marks.tracked && marks.tracked };
  }
}

function union(a: Outcome, b: Outcome): Outcome {
  return {
    accept: a.accept || b.accept,
    drops: [...new Set([...a.drops, ...b.drops])],
    leave: a.leave || b.leave,
    next: a.next || b.next,
  };
}
