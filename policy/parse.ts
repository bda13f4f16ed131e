import type { Policy } from './model.ts';
import { collectProblems } from './problem.ts';
import { readPolicy } from './read-policy.ts';
import { parseSource } from './source.ts';

/**
 * Reads the text of a policy file: YAML or JSON of the format that `docs/policy.md` describes.
 *
 * Example: `parsePolicy('version: 1\nrules:\n- {name: a, hosts: [pypi.org], ports: [443]}\n', {file: 'policy.yaml'})`.
 *
 * @throws POLICY_INVALID when anything is wrong; the message has a line `file:line:column: path: what` for each problem
 *   (100 at most), `details` is `{file, line, column, path}` of the first one and `{problems, count}` of all
 */
export function parsePolicy(text: string, options: { readonly file: string }): Policy {
  const problems = collectProblems(options.file);
  const source = parseSource(text, problems);
  return problems.finish(source === undefined ? undefined : readPolicy(source, problems));
}
