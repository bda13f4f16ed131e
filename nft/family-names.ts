/** NFPROTO numbers by nft's names. Source: include/uapi/linux/netfilter.h. */
export const familyNames: Readonly<Record<number, string>> = {
  1: 'inet',
  2: 'ip',
  3: 'arp',
  5: 'netdev',
  7: 'bridge',
  10: 'ip6',
};
