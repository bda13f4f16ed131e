import { messageOf, TapwardenError } from '../base/index.ts';
import { pathsOf } from '../driver-vm/paths.ts';
import { commands } from './commands/index.ts';
import { type Command, type Context, ownFailure } from './context.ts';
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
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') return await help(rest[0]);
  if (name === 'version' || name === '--version') return print(`tapwarden ${packageVersion}\n`);
  const command = await commandNamed(name);
  const own = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest;
  if (own.includes('--help') || own.includes('-h')) return print(command.help);
  return await command.run(contextOf(), rest);
}

async function help(name: string | undefined): Promise<number> {
  return print(name === undefined ? overview : (await commandNamed(name)).help);
}

async function commandNamed(name: string): Promise<Command> {
  const listed = commands.find((candidate) => candidate.name === name);
  if (listed === undefined) throw unknownCommand(name);
  return await listed.load();
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
