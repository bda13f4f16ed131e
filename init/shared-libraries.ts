import { TapwardenError } from '../base/errors.ts';
import { escapeText } from '../base/escape.ts';

/** What dynamically linked programs need beside themselves, as paths of the host. */
export type SharedLibraries = {
  /** Libraries, each once. Example: `/lib/x86_64-linux-gnu/libc.so.6`. */
  readonly libraries: readonly string[];
  /** Dynamic loaders, which programs name by this very path. Example: `/lib64/ld-linux-x86-64.so.2`. */
  readonly loaders: readonly string[];
};

/**
 * Reads what `ldd` prints for one or more programs. A statically linked program adds nothing.
 *
 * @throws IMAGE_BUILD_FAILED when a library is not installed
 * Source: ldd(1); elf/dl-support of glibc prints `\tNAME => PATH (0xADDRESS)`, or `\tPATH (0xADDRESS)` for the loader
 */
export function parseLdd(output: string): SharedLibraries {
  const libraries = new Set<string>();
  const loaders = new Set<string>();
  for (const line of output.split('\n')) {
    const missing = /^\t(\S+) => not found$/.exec(line)?.[1];
    if (missing !== undefined) {
      throw new TapwardenError('IMAGE_BUILD_FAILED', {
        message: `The library ${escapeText(missing, 200)}, which a program of the guest needs, is not installed`,
        hint: "Reinstall the program's package; 'ldd' on it names what is missing.",
      });
    }
    const library = /^\t\S+ => (\/\S+) \(0x[0-9a-f]+\)$/.exec(line)?.[1];
    if (library !== undefined) libraries.add(library);
    const loader = /^\t(\/\S+) \(0x[0-9a-f]+\)$/.exec(line)?.[1];
    if (loader !== undefined) loaders.add(loader);
  }
  return { libraries: [...libraries].filter((path) => !loaders.has(path)), loaders: [...loaders] };
}
