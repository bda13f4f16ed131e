import type { createRtNetlink } from 'netlink';
import { type AddressRange, formatAddress } from '../../policy/address.ts';

/** A socket to the kernel's routing tables, as the netlink package has it. Source: rtnetlink(7). */
export type Netlink = ReturnType<typeof createRtNetlink>;

/** Runs `body` with a netlink socket in the namespace of this process. */
export async function withNetlink<T>(body: (netlink: Netlink) => Promise<T>): Promise<T> {
  // A native module, a quarter of all that a run would load: loaded where it is used.
  const { createRtNetlink } = await import('netlink');
  const netlink = createRtNetlink();
  try {
    return await body(netlink);
  } finally {
    netlink.socket.close();
  }
}

/** All addresses of the interfaces, those that are down included: `['127.0.0.1', '192.0.2.4', '::1']`. */
export async function readAddresses(netlink: Netlink): Promise<readonly string[]> {
  return (await netlink.getAddresses()).flatMap(({ attrs }) => {
    // Of a point-to-point link `address` is the peer's, and `local` the own one.
    const bytes = attrs.local ?? attrs.address;
    return bytes === undefined ? [] : formatAddress(rangeOf(bytes, bytes.length * 8));
  });
}

/** The range of an address of 4 or 16 bytes with a prefix length. */
export function rangeOf(bytes: Buffer, prefix: number): AddressRange {
  return { bits: bytes.length === 4 ? 32 : 128, base: BigInt(`0x${bytes.toString('hex')}`), prefix };
}
