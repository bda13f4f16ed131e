import { directDestinations, framesRuleset, hostRuleset, poolOf, slotRuleset } from '../../driver-vm/index.ts';
import { renderRuleset, renderRulesetOver } from '../../nft/index.ts';
import { fenceRuleset, guestExecMarks, guestRuleset } from '../../supervisor/index.ts';
import type { Command } from '../context.ts';
import { readOptions } from '../options.ts';
import { loadPolicy } from '../policy-file.ts';

/** Stands for the run's secret, which is made at the start of a run and never shown. */
const exampleTag = 'xxxxxxxxxxxxxxxx';

/** `tapwarden rules`. */
export const rulesCommand: Command = {
  help: `Usage: tapwarden rules [--policy FILE] [--allow HOST:PORT]… [--json]

Prints the rulesets of the slot (on the host) and of the guest, as 'tapwarden run' would load them, each rule with its
comment. Needs no root and loads nothing. The tag in the log prefix is a secret of each run; here it is all 'x'.

  --policy FILE         the egress policy, YAML or JSON
  --allow HOST:PORT     one more destination; may be repeated
  --json                {"slot": TEXT, "guest": TEXT, "fence": TEXT}, and "host": TEXT with direct rules
`,
  run: async (context, args) => {
    const { values } = readOptions('rules', args, {
      policy: { type: 'string' },
      allow: { type: 'string', multiple: true },
      json: { type: 'boolean' },
    });
    const { policy } = await loadPolicy(values.policy, values.allow ?? []);
    const direct = await directDestinations(policy, poolOf(context.env));
    const fence = fenceRuleset({
      tag: exampleTag,
      log: true,
      account: true,
      execs: guestExecMarks,
      generation: 'a',
      direct,
    });
    const rulesets = {
      slot: renderRuleset(framesRuleset()) + renderRuleset(slotRuleset(direct)),
      guest: renderRuleset(guestRuleset(direct)),
      ...(direct.length === 0 ? {} : { host: renderRuleset(hostRuleset()) }),
      fence: renderRulesetOver(fence),
    };
    if (values.json === true) {
      context.stdout.write(`${JSON.stringify(rulesets)}\n`);
      return 0;
    }
    const parts = [
      ['On the host, in the slot', rulesets.slot],
      ...(rulesets.host === undefined ? [] : [['On the host, for all slots with direct rules', rulesets.host]]),
      ["In the guest, in the supervisor's namespace", rulesets.guest],
      ["In the guest, in the workload's namespace: the fence", rulesets.fence],
    ];
    context.stdout.write(parts.map(([title, text]) => `# ${title}\n${text}`).join('\n'));
    return 0;
  },
};
