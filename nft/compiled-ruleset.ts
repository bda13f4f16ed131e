import { inNetworkNamespace, inScratchNamespace } from '../base/index.ts';
import type { Ruleset, TableName } from './model.ts';
import { encodeMessage, parseMessages } from './netlink-message.ts';
import { newElementsRequest, type SetElement } from './nfnetlink.ts';
import { NfnetlinkSocket } from './nfnetlink-socket.ts';
import { applyRuleset, type NftTarget } from './nft.ts';
import { RulesetReader } from './ruleset-reader.ts';
import { replayOf } from './ruleset-replay.ts';

/**
 * A ruleset as the messages of a transaction that makes it, in the kernel's own bytes, one after the other. Who loads it needs
 * no nft, which an emulated guest takes more than half a second to start.
 */
export type CompiledRuleset = Buffer;

/** Elements that belong to a compiled ruleset, and mean something on one machine alone. */
export type OwnElements = { readonly table: TableName; readonly set: string; readonly elements: readonly SetElement[] };

/**
 * Compiles rulesets of different names: nft loads them into a namespace that nobody uses, and what the kernel makes of them is
 * read back. Elements that mean something on this host alone, like a cgroup, must not be in them.
 *
 * Errors as {@link applyRuleset}, and NAMESPACE_FAILED, NFT_UNREADABLE.
 */
export async function compileRulesets(
  target: Omit<NftTarget, 'enter'>,
  rulesets: readonly Ruleset[],
): Promise<readonly CompiledRuleset[]> {
  return await inScratchNamespace(async (namespace) => {
    const enter = ['nsenter', `--net=${namespace}`, '--'];
    // One after the other: a transaction that another one overtakes is made again.
    for (const ruleset of rulesets) await applyRuleset({ ...target, enter }, ruleset);
    const socket = await inNetworkNamespace(namespace, () => new NfnetlinkSocket());
    try {
      const { parts } = await new RulesetReader(socket).read();
      return rulesets.map(({ table: { name } }) => {
        const requests = replayOf(
          parts.filter(({ table }) => table === name),
          [],
        );
        return Buffer.concat(requests.map((request) => encodeMessage({ ...request, sequence: 0 })));
      });
    } finally {
      socket.close();
    }
  });
}

/**
 * Loads a compiled ruleset, and elements that belong to it, as one transaction. Its table must not stand yet.
 *
 * @throws NFT_REJECTED when the kernel refuses it: nothing of it is loaded
 * @throws NOT_ROOT when the process lacks the right to
 */
export async function loadCompiled(
  socket: NfnetlinkSocket,
  compiled: CompiledRuleset,
  own?: OwnElements,
): Promise<void> {
  const elements =
    own === undefined || own.elements.length === 0 ? [] : [newElementsRequest(own.table, own.set, own.elements)];
  await socket.transact([...parseMessages(compiled), ...elements]);
}
