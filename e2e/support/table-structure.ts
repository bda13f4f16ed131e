import type { ExecutionContext } from 'ava';
import { applyRuleset, listTable, type NftObject, type NftTarget, type Ruleset } from '../../nft/index.ts';

/** What of a table can be read back: nft's JSON leaves details of expressions out, but no chain, rule, set or counter. */
type Structure = {
  readonly counters: readonly string[];
  readonly sets: Readonly<Record<string, unknown>>;
  readonly chains: Readonly<Record<string, unknown>>;
};

const priorities = { filter: 0, srcnat: 100 } as const;

// nft 1.0.6 leaves the device of an ingress chain out of its JSON; its text has it.
/** Loads a ruleset twice, as one that replaces itself, and checks that the kernel's table is the model's, once. */
export async function expectLoaded(t: ExecutionContext, target: NftTarget, ruleset: Ruleset): Promise<void> {
  await applyRuleset(target, ruleset);
  await applyRuleset(target, ruleset);
  const { stdout } = await target.run([...(target.enter ?? []), 'nft', 'list', 'tables'] as unknown as ['nft']);
  const { family, name } = ruleset.table;
  t.is(stdout.split('\n').filter((line) => line === `table ${family} ${name}`).length, 1);
  t.deepEqual(structureOf(await listTable(target, ruleset.table)), expected(ruleset));
}

function expected(ruleset: Ruleset): Structure {
  return {
    counters: ruleset.counters.toSorted(),
    sets: Object.fromEntries(
      ruleset.sets.map(({ name, type, data, size, timeoutS }) => [
        name,
        { type: type.split(' . '), data, size, timeout: timeoutS },
      ]),
    ),
    chains: Object.fromEntries(
      ruleset.chains.map(({ name, hook, rules }) => [
        name,
        {
          ...(hook === undefined
            ? {}
            : {
                type: hook.type,
                hook: hook.hook,
                prio: typeof hook.priority === 'number' ? hook.priority : priorities[hook.priority],
                policy: hook.policy,
              }),
          comments: rules.map(({ comment }) => comment),
        },
      ]),
    ),
  };
}

function structureOf(objects: readonly NftObject[]): Structure {
  const pick = (kind: string): readonly Readonly<Record<string, unknown>>[] =>
    objects.flatMap((object) => (object[kind] === undefined ? [] : [object[kind]]));
  const rules = pick('rule');
  return {
    counters: pick('counter')
      .map((counter) => String(counter['name']))
      .toSorted(),
    sets: Object.fromEntries(
      [...pick('set'), ...pick('map')].map((set) => [
        String(set['name']),
        { type: [set['type']].flat(), data: set['map'], size: set['size'], timeout: set['timeout'] },
      ]),
    ),
    chains: Object.fromEntries(
      pick('chain').map((chain) => [
        String(chain['name']),
        {
          ...(chain['hook'] === undefined
            ? {}
            : {
                type: chain['type'],
                hook: chain['hook'],
                prio: chain['prio'],
                policy: chain['policy'],
              }),
          comments: rules.filter((rule) => rule['chain'] === chain['name']).map((rule) => rule['comment']),
        },
      ]),
    ),
  };
}

/**
 * What a packet that no rule before the last one decided on meets at the end of each base chain, and whether an accept
 * stands behind a rule that takes every packet. Example: `{input: {last: 'drop', policy: 'drop', behind: []}}`.
 */
export function endsOf(ruleset: Ruleset): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    ruleset.chains
      .filter(({ hook }) => hook !== undefined)
      .map(({ name, hook, rules }) => {
        // Without a match before the verdict, a rule takes every packet.
        const final = rules.findIndex(({ body }) =>
          /^(?:counter name \w+ )?(?:drop|accept|goto \w+|reject.*)$/.test(body),
        );
        const behind = final === -1 ? [] : rules.slice(final + 1).map(({ body }) => body);
        return [name, { last: rules.at(-1)?.body, policy: hook?.policy, behind }];
      }),
  );
}
