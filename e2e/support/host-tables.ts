import { run } from '../../base/index.ts';

/** The nftables tables of the host's own namespace, one line each: `table inet tapwarden_host`. */
export async function hostTables(): Promise<readonly string[]> {
  return (await run(['nft', 'list', 'tables'])).stdout.split('\n').filter((line) => line !== '');
}
