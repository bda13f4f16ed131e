import { networkInterfaces } from 'node:os';

/**
 * All addresses of the host's interfaces at this moment, without zone: a request to one of them would reach a service of
 * the host itself. Asked for each dial, since addresses come and go. Source: getifaddrs(3).
 */
export function hostAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address.split('%')[0] ?? address),
  );
}
