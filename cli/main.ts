import { messageOf, TapwardenError } from '../base/index.ts';
import { pathsOf } from '../driver-vm/index.ts';
import { commands } from './commands/index.ts';
import { type Context, ownFailure } from './context.ts';
import { packageVersion } from './package-info.ts';
import { renderError } from './progress.ts';

const overview = `Usage: tapwarden COMMAND [OPTION]…

Runs code that you do not trust in a microVM whose only way out is a policy proxy, and turns every attempt to go around
it into an OCSF event.

Commands
${commands.map(({ name, summary }) => `  ${name.padEnd(8)} ${summary}`).join('\n')}
  help     this text, or that of one command
  version  the version

See 'tapwarden help COMMAND'.
`;

/** Runs a command line (without the interpreter and the program) and returns the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    process.stderr.write(renderError(error));
    if (!(error instanceof TapwardenError || error instanceof AggregateError)) {
      process.stderr.write(`tapwarden: BUG: ${error instanceof Error ? error.stack : messageOf(error)}\n`);
    }
    return ownFailure;
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') return help(rest[0]);
  if (name === 'version' || name === '--version') return print(`tapwarden ${packageVersion}\n`);
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) throw unknownCommand(name);
  const own = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest;
  if (own.includes('--help') || own.includes('-h')) return print(command.help);
  return await command.run(contextOf(), rest);
}

function help(name: string | undefined): number {
  if (name === undefined) return print(overview);
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) throw unknownCommand(name);
  return print(command.help);
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function unknownCommand(name: string): TapwardenError {
  return new TapwardenError('USAGE_INVALID', {
    message: `There is no command '${name.slice(0, 80)}'`,
    hint: `Commands: ${commands.map((command) => command.name).join(', ')}, help, version.`,
  });
}

function contextOf(): Context {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    paths: pathsOf(process.env),
    interactive: process.stderr.isTTY === true,
  };
}
