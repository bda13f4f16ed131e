import type { Chain, NftSet, Ruleset } from './model.ts';
import { validateRuleset } from './validate.ts';

/**
 * Renders a ruleset as one nft transaction that makes the table, or replaces it as a whole.
 *
 * `table X`, `delete table X`, `table X {…}`: the first line makes the delete succeed when the table is not there yet.
 * nft 1.0.6 has no `destroy`. The text is the same for the same model, byte for byte, and ends in a newline.
 *
 * @throws RULESET_INVALID when the model breaks a rule of {@link validateRuleset}
 */
export function renderRuleset(ruleset: Ruleset): string {
  validateRuleset(ruleset);
  const table = `table ${ruleset.table.family} ${ruleset.table.name}`;
  const parts = [
    ...ruleset.counters.map((name) => `\tcounter ${name} {\n\t}\n`),
    ...ruleset.sets.map(renderSet),
    ...ruleset.chains.map(renderChain),
  ];
  return `${table}\ndelete ${table}\n${table} {\n${parts.join('\n')}}\n`;
}

function renderSet(set: NftSet): string {
  const lines = [
    `type ${set.type}`,
    ...(set.size === undefined ? [] : [`size ${set.size}`]),
    ...(set.flags === undefined ? [] : [`flags ${set.flags.join(',')}`]),
    ...(set.timeoutS === undefined ? [] : [`timeout ${set.timeoutS}s`]),
    ...(set.elements === undefined || set.elements.length === 0
      ? []
      : [`elements = { ${set.elements.join(',\n\t\t             ')} }`]),
  ];
  return `\tset ${set.name} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`;
}

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
