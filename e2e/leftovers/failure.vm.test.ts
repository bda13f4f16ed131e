import { chmod, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemPath } from '../../base/index.ts';
import { type Bench, vmTest } from '../support/vm-test.ts';

/** What a host lacks or does wrong, and the error that a run then ends with. */
const failures: readonly {
  readonly title: string;
  /** Programs that stand before those of the system: a script, or `null` for one that is not there at all. */
  readonly programs: Readonly<Record<string, string | null>>;
  readonly code: string;
  readonly says: RegExp;
}[] = [
  {
    title: 'nft is missing',
    programs: { nft: null },
    code: 'NFT_MISSING',
    says: /'nft' is not there\n {2}Install the package nftables/,
  },
  {
    title: 'nft refuses the ruleset of the slot',
    programs: { nft: '#!/bin/sh\necho "Error: Could not process rule: Operation not supported" >&2\nexit 1\n' },
    code: 'NFT_REJECTED',
    says: /refused the ruleset of table (?:inet|netdev) tapwarden_tap0: Error: Could not process rule/,
  },
  {
    title: 'nft does nothing and ends in order',
    programs: { nft: '#!/bin/sh\nexit 0\n' },
    code: 'NFT_REJECTED',
    says: /the kernel told of 0 of \d+ rules of table (?:inet|netdev) tapwarden_tap0/,
  },
  {
    title: 'QEMU is missing',
    programs: { 'qemu-system-x86_64': null },
    code: 'VMM_MISSING',
    says: /no qemu-system-x86_64\n {2}Install the package qemu-system-x86/,
  },
  {
    title: 'QEMU ends at once',
    programs: { 'qemu-system-x86_64': '#!/bin/sh\necho "qemu: no such machine" >&2\nexit 1\n' },
    code: 'VMM_FAILED',
    says: /ended with status 1: qemu: no such machine/,
  },
];

for (const { title, programs, code, says } of failures) {
  vmTest(`run: where ${title} it ends with ${code}, and nothing is left`, async (t, bench) => {
    // The images are there before, so that it is the run that meets the failure.
    t.is((await bench.run(['--quiet', '--', 'true'])).status, 0);
    const path = await makePath(bench, programs);
    const { status, stderr, result } = await bench.run(['--quiet', '--', 'true'], { env: { TAPWARDEN_PATH: path } });
    t.is(status, 125);
    t.true(stderr.startsWith(`tapwarden: ${code}: `), stderr);
    t.regex(stderr, says);
    t.is(result?.reason, 'tapwarden');
  });
}

/** A search path in which some programs are other ones, or none. */
async function makePath(bench: Bench, programs: Readonly<Record<string, string | null>>): Promise<string> {
  const folder = join(bench.folder, 'bin');
  await mkdir(folder);
  if (Object.values(programs).includes(null)) {
    await linkAllBut(folder, Object.keys(programs));
    return folder;
  }
  for (const [name, text] of Object.entries(programs)) {
    await writeFile(join(folder, name), text ?? '');
    await chmod(join(folder, name), 0o755);
  }
  await chmod(folder, 0o755);
  await chmod(bench.folder, 0o755);
  return `${folder}:${systemPath}`;
}

/** A program that is missing is missing in every folder of the path: links to all others make up the only one. */
async function linkAllBut(folder: string, missing: readonly string[]): Promise<void> {
  for (const source of systemPath.split(':')) {
    for (const name of await readdir(source).catch(() => [])) {
      if (!missing.includes(name)) await symlink(join(source, name), join(folder, name)).catch(() => undefined);
    }
  }
}
