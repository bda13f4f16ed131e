import { writeFile } from 'node:fs/promises';
import { withFile } from 'tmp-promise';
import { type Argv, escapeText, isTapwardenError, type Run, TapwardenError } from '../base/index.ts';
import type { Chain, Ruleset, TableName } from './model.ts';
import { renderChains, renderRuleset, renderRulesetOver } from './render.ts';
import { validateElements } from './validate.ts';

/** Where nft runs: `enter` stands before the command, for example `['ip', 'netns', 'exec', 'tw-a']`. */
export type NftTarget = {
  readonly run: Run;
  readonly enter?: readonly string[];
  /** Where the file with a ruleset is made. @default the system's folder for temporary files */
  readonly folder?: string;
};

/** Packets and bytes that a named counter has seen. */
export type Count = { readonly packets: number; readonly bytes: number };

/**
 * Loads a ruleset: all of it, or nothing. A table of that name is replaced as a whole. That nft ended with 0 is not taken
 * for proof: the kernel echoes every rule that it took, and these are counted.
 *
 * @throws RULESET_INVALID when the model is wrong, before nft is called
 * @throws NFT_REJECTED when nft or the kernel refuses it; `details` is `{table, stderr}`. The old state stands, which
 *   at a first load is no fence at all: whoever gets this error must not start a workload
 * @throws NFT_MISSING when there is no nft
 */
export async function applyRuleset(target: NftTarget, ruleset: Ruleset): Promise<void> {
  await load(target, ruleset, renderRuleset(ruleset), ruleset.chains);
}

/**
 * Loads a ruleset as {@link applyRuleset} does, over a table that may stand already: its counters go on, and its sets
 * keep their elements. Errors as there; NFT_REJECTED too where a set or chain of that name stands in another form.
 */
export async function applyRulesetOver(target: NftTarget, ruleset: Ruleset): Promise<void> {
  await load(target, ruleset, renderRulesetOver(ruleset), ruleset.chains);
}

/**
 * Gives some chains of a table that stands the rules of the model, and adds the sets of the model that are not there:
 * all of it, or nothing. Errors as {@link applyRuleset}.
 */
export async function applyChains(target: NftTarget, ruleset: Ruleset, names: readonly string[]): Promise<void> {
  const chains = ruleset.chains.filter(({ name }) => names.includes(name));
  await load(target, ruleset, renderChains(ruleset, names), chains);
}

async function load(target: NftTarget, { table }: Ruleset, text: string, chains: readonly Chain[]): Promise<void> {
  const echo = await loadText(target, text, table, ['--echo']);
  const wanted = chains.reduce((sum, chain) => sum + chain.rules.length, 0);
  const loaded = echo.split('\n').filter((line) => line.startsWith(`add rule ${table.family} ${table.name} `)).length;
  if (loaded === wanted) return;
  throw new TapwardenError('NFT_REJECTED', {
    message: `nft ended in order, but the kernel told of ${loaded} of ${wanted} rules of table ${table.family} ${table.name}`,
    hint: "Is 'nft' the program of the package nftables?",
    details: { table: `${table.family} ${table.name}`, loaded, wanted },
  });
}

/** Says whether the kernel would take the ruleset, without loading it. Errors as {@link applyRuleset}. */
export async function checkRuleset(target: NftTarget, ruleset: Ruleset): Promise<void> {
  await loadText(target, renderRuleset(ruleset), ruleset.table, ['--check']);
}

/**
 * Deletes a table and all in it.
 *
 * @throws NFT_NOT_FOUND when it does not exist
 */
export async function removeTable(target: NftTarget, table: TableName): Promise<void> {
  await nft(target, ['delete', 'table', table.family, table.name], table);
}

/**
 * Deletes sets of a table that no rule names: all of them, or none.
 *
 * @throws NFT_NOT_FOUND when the table or one of the sets does not exist
 * @throws NFT_REJECTED when a rule still names one
 */
export async function removeSets(target: NftTarget, table: TableName, names: readonly string[]): Promise<void> {
  for (const name of names) validateElements(table, name, []);
  await loadText(
    target,
    names.map((name) => `delete set ${table.family} ${table.name} ${name}\n`).join(''),
    table,
    [],
    true,
  );
}

/** Elements of one set, as nft text: `{set: 'slots', elements: ['"twv0"', '"twv1"']}`. */
export type SetElements = { readonly set: string; readonly elements: readonly string[] };

/**
 * Adds elements to sets of a table: all of them, or none. What is in a set already stays.
 *
 * @throws RULESET_INVALID when a name or an element has a form that nft would read otherwise
 * @throws NFT_NOT_FOUND when the table or a set does not exist
 * @throws NFT_REJECTED when nft or the kernel refuses them
 */
export async function addElements(target: NftTarget, table: TableName, sets: readonly SetElements[]): Promise<void> {
  await changeElements(target, table, 'add', sets);
}

/**
 * Deletes elements from sets of a table: all of them, or none.
 *
 * @throws NFT_NOT_FOUND when the table, a set or one of the elements does not exist
 * @throws RULESET_INVALID, NFT_REJECTED as {@link addElements}
 */
export async function deleteElements(target: NftTarget, table: TableName, sets: readonly SetElements[]): Promise<void> {
  await changeElements(target, table, 'delete', sets);
}

async function changeElements(
  target: NftTarget,
  table: TableName,
  verb: 'add' | 'delete',
  sets: readonly SetElements[],
): Promise<void> {
  for (const { set, elements } of sets) validateElements(table, set, elements);
  const filled = sets.filter(({ elements }) => elements.length > 0);
  if (filled.length === 0) return;
  const lines = filled.map(
    ({ set, elements }) => `${verb} element ${table.family} ${table.name} ${set} { ${elements.join(', ')} }\n`,
  );
  await loadText(target, lines.join(''), table, [], true);
}

/** The tables of a namespace. */
export async function listTables(target: NftTarget): Promise<readonly { family: string; name: string }[]> {
  const objects = parseListing(await nft(target, ['-j', 'list', 'tables'], { family: 'inet', name: '*' }));
  return objects.flatMap(({ table }) =>
    table === undefined ? [] : [{ family: String(table['family']), name: String(table['name']) }],
  );
}

/**
 * All that stands in a namespace, of every table, in nft's JSON form (libnftables-json(5)).
 */
export async function listRuleset(target: NftTarget): Promise<readonly NftObject[]> {
  return parseListing(await nft(target, ['-j', 'list', 'ruleset'], { family: 'inet', name: '*' }));
}

/**
 * The table as the kernel has it, in nft's JSON form (libnftables-json(5)): for structure only, since it leaves out
 * details of some expressions.
 *
 * @throws NFT_NOT_FOUND when it does not exist
 */
export async function listTable(target: NftTarget, table: TableName): Promise<readonly NftObject[]> {
  return parseListing(await nft(target, ['-j', 'list', 'table', table.family, table.name], table));
}

/**
 * The named counters of a table, by name.
 *
 * @throws NFT_NOT_FOUND when the table does not exist
 */
export async function readCounters(target: NftTarget, table: TableName): Promise<ReadonlyMap<string, Count>> {
  const objects = parseListing(await nft(target, ['-j', 'list', 'counters', 'table', table.family, table.name], table));
  return new Map(
    objects.flatMap(({ counter }) =>
      counter === undefined
        ? []
        : [[String(counter['name']), { packets: Number(counter['packets']), bytes: Number(counter['bytes']) }]],
    ),
  );
}

/** One object of nft's JSON listing: a single key (`chain`, `rule`, `set`, `counter` …) and its attributes. */
export type NftObject = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

function parseListing(stdout: string): readonly NftObject[] {
  return (JSON.parse(stdout) as { nftables: readonly NftObject[] }).nftables;
}

/** nft reads a file and not its standard input, because `/dev/stdin` is no regular file everywhere; mode 0600. */
async function loadText(
  target: NftTarget,
  text: string,
  table: TableName,
  flags: readonly string[],
  ofExisting = false,
): Promise<string> {
  return await withFile(
    async ({ path }) => {
      await writeFile(path, text);
      return await nft(target, [...flags, '-f', path], table, ofExisting);
    },
    {
      prefix: 'tapwarden-',
      postfix: '.nft',
      mode: 0o600,
      ...(target.folder === undefined ? {} : { tmpdir: target.folder }),
    },
  );
}

/** `ofExisting`: the command names what must be there already, so a name that is not found means just that. */
async function nft(
  target: NftTarget,
  args: readonly string[],
  table: TableName,
  ofExisting = !args.includes('-f'),
): Promise<string> {
  const argv: Argv = [...(target.enter ?? []), 'nft', ...args] as unknown as Argv;
  try {
    return (await target.run(argv)).stdout;
  } catch (error) {
    throw classify(error, argv, ofExisting, table);
  }
}

/** The one place that reads what nft says. Callers see codes. */
function classify(error: unknown, argv: Argv, ofExisting: boolean, table: TableName): unknown {
  if (isTapwardenError(error, 'PROGRAM_MISSING')) return argv[0] === 'nft' ? missing(error) : error;
  if (!isTapwardenError(error, 'COMMAND_FAILED')) return error;
  const stderr = String(error.details['stderr']);
  if (/exec of "nft" failed: No such file/.test(stderr)) return missing(error);
  const name = `${table.family} ${table.name}`;
  const first = escapeText(stderr.split('\n').find((line) => line.includes('rror:')) ?? stderr.trim(), 500);
  // Without `Error:` it is the program before nft that found something missing, as a namespace.
  if (ofExisting && /^(?:\S+: )?Error: (?:Could not process rule: )?No such file or directory/m.test(stderr)) {
    return new TapwardenError('NFT_NOT_FOUND', {
      message: `The table ${name}, or what was asked of it, does not exist: ${first}`,
      details: { table: name, stderr },
      cause: error,
    });
  }
  return new TapwardenError('NFT_REJECTED', {
    message: `nft refused the ruleset of table ${name}: ${first}`,
    hint: "'tapwarden doctor' says which netfilter features the kernel lacks.",
    details: { table: name, stderr },
    cause: error,
  });
}

function missing(cause: unknown): TapwardenError {
  return new TapwardenError('NFT_MISSING', {
    message: "Cannot load a ruleset: the program 'nft' is not there",
    hint: 'Install the package nftables.',
    cause,
  });
}
