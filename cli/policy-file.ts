import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { messageOf, TapwardenError } from '../base/index.ts';
import { addRules, denyAll, type Policy, parseAllow } from '../policy/index.ts';

/** A policy and what to call it in events. */
export type LoadedPolicy = { readonly policy: Policy; readonly name: string };

/**
 * Reads the policy of a command line: the file, if one is named, and the `--allow` rules on top.
 *
 * @throws POLICY_UNREADABLE when the file cannot be read
 * @throws POLICY_INVALID, USAGE_INVALID when file or option say something that a policy cannot
 */
export async function loadPolicy(file: string | undefined, allow: readonly string[]): Promise<LoadedPolicy> {
  const base = file === undefined ? denyAll : await parseFile(file);
  const rules = allow.map((text, index) => parseAllow(text, index + 1));
  return {
    policy: addRules(base, rules),
    name: file === undefined ? (allow.length === 0 ? 'deny-all' : 'command-line') : basename(file),
  };
}

/** The reader of YAML is a fifth of the command line's program, so it is loaded where there is YAML to read. */
async function parseFile(file: string): Promise<Policy> {
  const text = await readText(file);
  return (await import('../policy/parse.ts')).parsePolicy(text, { file });
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new TapwardenError('POLICY_UNREADABLE', {
      message: `Cannot read the policy ${file}: ${messageOf(cause)}`,
      cause,
    });
  }
}
