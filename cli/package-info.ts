import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the package: the first one upwards that has its package.json, from the sources and from `build/`. */
export const packageRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

const description = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
  readonly version: string;
  readonly engines: { readonly node: string };
};

/** The version of tapwarden, for example `0.1.0`. */
export const packageVersion = description.version;

/** The versions of Node that it runs on, for example `>=20.20`. */
export const packageEngine = description.engines.node;

function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json')) || folder === '/') return folder;
  return findRoot(dirname(folder));
}
