import type koffi from 'koffi';

/** A function that can be called with what its prototype says. */
type KoffiFunction = ReturnType<ReturnType<typeof koffi.load>['func']>;

/** Functions of the C library that Node lacks. */
export type Libc = {
  /** The function of a prototype in C, which is made once. Example: `func('int flock(int, int)')`. */
  readonly func: (prototype: string) => KoffiFunction;
  /** Why the last of them failed, as a positive number. */
  readonly errno: () => number;
};

let libc: Promise<Libc> | undefined;

/**
 * Gives functions of the C library, so that no program need be started for a system call. The foreign function library is loaded
 * by the first call: under emulation that takes a while, and so does each function that is made.
 */
export async function loadLibc(): Promise<Libc> {
  libc ??= load();
  return await libc;
}

async function load(): Promise<Libc> {
  const { default: koffi } = await import('koffi');
  const library = koffi.load(null);
  const made = new Map<string, KoffiFunction>();
  return {
    func: (prototype) => {
      const func = made.get(prototype) ?? library.func(prototype);
      made.set(prototype, func);
      return func;
    },
    errno: () => koffi.errno(),
  };
}
