import { fileURLToPath } from 'node:url';

/** Loads a program of one file with the code that V8 made of it before: see `bin/load-program.cjs`. */
export const programLoader = fileURLToPath(new URL('../../bin/load-program.cjs', import.meta.url));

/** The start of a command line that runs such a program by the Node that runs us. Its own words come behind. */
export function programCommand(file: string): readonly [node: string, loader: string, file: string] {
  return [process.execPath, programLoader, file];
}
