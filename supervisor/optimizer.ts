import { setFlagsFromString } from 'node:v8';

/**
 * V8's compilers of machine code. An emulator translates every piece of a compiler that runs, and then what it made, so under
 * emulation they cost more than they give until the same work has been done for a minute: a tenth of all that the emulator
 * translates for a command that does nothing, and events of the seconds in which they compile come up to a second later.
 */
export const optimizer = {
  /** Leaves all functions to the interpreter from now on. */
  rest: (): void => set('--no-'),
  /** Compiles what runs often, as V8 does by itself. */
  work: (): void => set('--'),
} as const;

/** Flags that V8 asks at each function, so that they can be changed while it runs. */
const compilers = ['opt', 'sparkplug'] as const;

function set(prefix: '--' | '--no-'): void {
  for (const compiler of compilers) setFlagsFromString(`${prefix}${compiler}`);
}
