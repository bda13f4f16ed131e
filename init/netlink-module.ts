import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** A file and its place in the guest. */
export type ModuleFile = { readonly source: string; readonly target: string };

/** What of the netlink package, and of what it needs, the reader of the fence loads. */
export type NetlinkModule = {
  readonly files: readonly ModuleFile[];
  /** The one among them that is native code, whose libraries the guest needs too. */
  readonly native: string;
};

/**
 * The raw socket of the netlink package, as it is installed here: three files of the package and two of the one that finds
 * its native code, laid out as Node looks for them from the reader on.
 */
export function findNetlinkModule(readerTarget: string): NetlinkModule {
  const manifest = createRequire(import.meta.url).resolve('netlink/package.json');
  const finder = createRequire(manifest).resolve('node-gyp-build/package.json');
  const modules = join(dirname(readerTarget), 'node_modules');
  const place = (name: string, folder: string, files: readonly string[]): readonly ModuleFile[] =>
    files.map((file) => ({ source: join(folder, file), target: join(modules, name, file) }));
  const native = 'prebuilds/linux-x64/node.napi.node';
  return {
    files: [
      ...place('netlink', dirname(manifest), ['package.json', 'dist/raw.js', native]),
      ...place('node-gyp-build', dirname(finder), ['package.json', 'index.js', 'node-gyp-build.js']),
    ],
    native: join(dirname(manifest), native),
  };
}
