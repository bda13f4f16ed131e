import type { DeniedPacketFact } from '../../channel/index.ts';

/** A fact of a guest by the book, in the form of the channel. */
export const fact: DeniedPacketFact = {
  kind: 'denied-packet',
  monotonic: '12.345678',
  sequence: 251,
  interfaceOut: 'eth0',
  source: '10.200.0.2',
  destination: '198.51.100.1',
  protocol: 6,
  sourcePort: 40_000,
  destinationPort: 80,
  icmp: null,
  length: 60,
  tcpFlags: 2,
  uid: 1000,
  gid: 1000,
  mark: null,
  raw: 'IN= OUT=eth0',
  origin: null,
};

/** Counters of a fence that refused nothing. */
export const noCounts = {
  deniedTcp: 0,
  deniedUdp: 0,
  deniedOther: 0,
  logged: 0,
  unlogged: 0,
  direct: 0,
  overflow: 0,
  portsFull: false,
  unread: 0,
  unknown: [],
  auditLoss: null,
};
