import { type ParseArgsConfig, parseArgs } from 'node:util';
import { messageOf, TapwardenError } from '../base/index.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * Reads options as `node:util` does, with an error that names the command to ask for help.
 *
 * @throws USAGE_INVALID for an unknown option, a missing value or a surplus argument
 */
export function readOptions<T extends Options>(
  command: string,
  args: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<{ readonly options: T; readonly strict: true }>> {
  return parsed(command, () => parseArgs({ args: [...args], options, strict: true }));
}

/**
 * Like {@link readOptions} for a command that takes words beside its options.
 *
 * @throws USAGE_INVALID for an unknown option or a missing value
 */
export function readArguments<T extends Options>(
  command: string,
  args: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<{ readonly options: T; readonly strict: true; readonly allowPositionals: true }>> {
  return parsed(command, () => parseArgs({ args: [...args], options, strict: true, allowPositionals: true }));
}

function parsed<T>(command: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw usage(messageOf(cause).split('. To specify')[0] ?? '', command);
  }
}

/**
 * Reads a whole number from an option's text.
 *
 * @throws USAGE_INVALID when it is none, or outside `min` to `max`
 */
export function readNumber(
  command: string,
  option: string,
  value: string | undefined,
  range: { readonly min: number; readonly max: number; readonly unit: string },
): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (/^\d{1,9}$/.test(value) && number >= range.min && number <= range.max) return number;
  throw usage(
    `${option} takes a whole number of ${range.unit} from ${range.min} to ${range.max}, not '${value}'`,
    command,
  );
}

/**
 * Reads one of a few words from an option's text.
 *
 * @throws USAGE_INVALID when it is another
 */
export function readWord<Word extends string>(
  command: string,
  option: string,
  value: string | undefined,
  words: readonly Word[],
): Word | undefined {
  if (value === undefined) return undefined;
  const word = words.find((candidate) => candidate === value);
  if (word !== undefined) return word;
  throw usage(`${option} takes ${words.map((known) => `'${known}'`).join(', ')}, not '${value.slice(0, 80)}'`, command);
}

/** The error of a wrong command line. */
export function usage(problem: string, command?: string): TapwardenError {
  return new TapwardenError('USAGE_INVALID', {
    message: problem,
    hint: `See 'tapwarden help${command === undefined ? '' : ` ${command}`}'.`,
  });
}
