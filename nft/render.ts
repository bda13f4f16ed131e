import { escapeText, TapwardenError } from '../base/index.ts';
import type { Chain, NftSet, Ruleset } from './model.ts';
import { validateRuleset } from './validate.ts';

/**
 * Renders a ruleset as one nft transaction that makes the table, or replaces it as a whole: counters begin at 0.
 *
 * `table X`, `delete table X`, `table X {…}`: the first line makes the delete succeed when the table is not there yet.
 * nft 1.0.6 has no `destroy`. The text is the same for the same model, byte for byte, and ends in a newline.
 *
 * @throws RULESET_INVALID when the model breaks a rule of {@link validateRuleset}
 */
export function renderRuleset(ruleset: Ruleset): string {
  validateRuleset(ruleset);
  const { counters, sets, chains } = ruleset;
  const table = tableOf(ruleset);
  return `${table}\ndelete ${table}\n${renderTable(ruleset, { counters, sets, chains })}`;
}

/**
 * Renders a ruleset as one nft transaction that makes the table, or gives one that stands other rules: its counters go
 * on, and sets that packets fill keep their elements; the others get those of the model. A chain that the model does not
 * have stays, without rules.
 *
 * @throws RULESET_INVALID as {@link renderRuleset}
 */
export function renderRulesetOver(ruleset: Ruleset): string {
  validateRuleset(ruleset);
  const { counters, sets, chains } = ruleset;
  // Chains without their rules first: rules cannot be flushed out of a table that is not there. Neither can elements.
  const empty = chains.map((chain) => ({ ...chain, rules: [] }));
  const made = renderTable(ruleset, { counters, sets: sets.map(({ elements: _, ...set }) => set), chains: empty });
  const filled = sets.filter(({ elements }) => elements !== undefined);
  const { family, name: table } = ruleset.table;
  const flushes = filled.map((set) => `flush ${keyword(set)} ${family} ${table} ${set.name}\n`).join('');
  return `${made}flush ${tableOf(ruleset)}\n${flushes}${renderTable(ruleset, { counters: [], sets: filled, chains })}`;
}

/**
 * Renders one nft transaction that gives some chains of a table that stands the rules of the model, and adds the sets of
 * the model that are not there.
 *
 * @throws RULESET_INVALID as {@link renderRuleset}, or when the model has no such chain
 */
export function renderChains(ruleset: Ruleset, names: readonly string[]): string {
  validateRuleset(ruleset);
  const chains = names.map((name) => {
    const chain = ruleset.chains.find((each) => each.name === name);
    if (chain !== undefined) return chain;
    throw new TapwardenError('RULESET_INVALID', { message: `The ruleset has no chain '${escapeText(name, 80)}'` });
  });
  const { family, name: table } = ruleset.table;
  const flushes = names.map((name) => `flush chain ${family} ${table} ${name}\n`).join('');
  const sets = renderTable(ruleset, { counters: [], sets: ruleset.sets, chains: [] });
  return `${sets}${flushes}${renderTable(ruleset, { counters: [], sets: [], chains })}`;
}

function tableOf({ table }: Ruleset): string {
  return `table ${table.family} ${table.name}`;
}

function renderTable(ruleset: Ruleset, parts: Pick<Ruleset, 'counters' | 'sets' | 'chains'>): string {
  const blocks = [
    ...parts.counters.map((name) => `\tcounter ${name} {\n\t}\n`),
    ...parts.sets.map(renderSet),
    ...parts.chains.map(renderChain),
  ];
  return `${tableOf(ruleset)} {\n${blocks.join('\n')}}\n`;
}

function renderSet(set: NftSet): string {
  const lines = [
    `type ${set.type}${set.data === undefined ? '' : ` : ${set.data}`}`,
    ...(set.size === undefined ? [] : [`size ${set.size}`]),
    ...(set.flags === undefined ? [] : [`flags ${set.flags.join(',')}`]),
    ...(set.timeoutS === undefined ? [] : [`timeout ${set.timeoutS}s`]),
    ...(set.counter === true ? ['counter'] : []),
    ...(set.elements === undefined || set.elements.length === 0
      ? []
      : [`elements = { ${set.elements.join(',\n\t\t             ')} }`]),
  ];
  return `\t${keyword(set)} ${set.name} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`;
}

const keyword = ({ data }: NftSet): string => (data === undefined ? 'set' : 'map');

function renderChain(chain: Chain): string {
  const { hook } = chain;
  const head =
    hook === undefined
      ? ''
      : `\t\ttype ${hook.type} hook ${hook.hook}${hook.device === undefined ? '' : ` device "${hook.device}"`} ` +
        `priority ${hook.priority}; policy ${hook.policy};\n`;
  const rules = chain.rules.map((rule) => `\t\t${rule.body} comment "${rule.comment}"\n`).join('');
  return `\tchain ${chain.name} {\n${head}${rules}\t}\n`;
}
