import { readFile, writeFile } from 'node:fs/promises';

const path = '/proc/sys/net/netfilter/nf_log_all_netns';

/** The switch that lets rules of other network namespaces log; `undefined` where the kernel has none. */
export async function readLogSwitch(): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined);
}

/** Sets it. It is the whole machine's: whoever sets it puts back what {@link readLogSwitch} found. */
export async function setLogSwitch(value: string): Promise<void> {
  await writeFile(path, value);
}
