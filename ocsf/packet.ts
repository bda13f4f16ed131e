import { checkedInteger, checkedIp, checkedText } from './check.ts';
import { classifyAddress, type Destination } from './destination.ts';
import type { FenceRule, Verdict } from './fence-rule.ts';
import type { OriginInput } from './packet-origin.ts';
import { severityOf } from './packet-text.ts';

/** An address, and a port where the protocol has ports. */
export type PacketEnd = { readonly ip: string; readonly port?: number | undefined };

/** One packet that the fence refused, as the kernel's log line tells it. */
export type DeniedPacketInput = {
  /** Epoch milliseconds by the host's clock, when the host learnt of it. */
  readonly time: number;
  /** Seconds and microseconds since the guest booted, for example `'1843.220114'`. */
  readonly originalTime: string;
  /** IANA protocol number. */
  readonly protocol: number;
  readonly source: PacketEnd;
  readonly destination: PacketEnd;
  readonly interfaceOut: string;
  /** Bytes of the IP packet. */
  readonly length: number;
  /** Owner of the socket. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** The packet mark, which names the exec. */
  readonly mark?: number | undefined;
  /** The flag bits of the TCP header, for example 2 for SYN. */
  readonly tcpFlags?: number | undefined;
  readonly icmp?: { readonly type: number; readonly code: number } | undefined;
  /** Sequence number of the kernel's log record. */
  readonly sequence: number;
  /** The exec that the mark stands for. */
  readonly exec?: { readonly id: string } | undefined;
  /** Who sent it; absent where nobody looked. */
  readonly origin?: OriginInput | undefined;
  readonly rawLine: string;
  readonly rule: FenceRule;
  readonly verdict: Verdict;
};

/** An address that was checked, with its port where it has one. */
export type CheckedEnd = { readonly ip: string; readonly port?: number };

/** What is another thing for each packet, whatever it is like; checked. */
export type PacketRecord = {
  readonly time: number;
  readonly sequence: number;
  readonly originalTime: string;
  readonly length: number;
  readonly sourcePort: number | undefined;
};

/** What was read of an input and checked, and what follows from it. */
export type Packet = PacketRecord & {
  readonly source: CheckedEnd;
  readonly end: CheckedEnd;
  readonly tcpFlags: number | undefined;
  readonly destination: Destination;
  readonly severity: 2 | 3 | 4;
};

/**
 * Checks a packet, and works out what its destination is.
 *
 * @throws EVENT_INVALID when an address, port or number is out of its range
 */
export function readPacket(input: DeniedPacketInput): Packet {
  const protocol = checkedInteger(input.protocol, 'protocol', 0, 255);
  const end = checkedEnd(input.destination, 'destination');
  const destination = classifyAddress(end.ip);
  return {
    ...readRecord(input),
    source: checkedEnd(input.source, 'source'),
    end,
    tcpFlags: optionalInteger(input.tcpFlags, 'tcpFlags', 0xfff),
    destination,
    severity: severityOf(protocol, end.port, destination),
  };
}

/**
 * Checks what is another thing for each packet.
 *
 * @throws EVENT_INVALID when a port or number is out of its range
 */
export function readRecord({ time, sequence, originalTime, length, source }: DeniedPacketInput): PacketRecord {
  return {
    time: checkedInteger(time, 'time'),
    sequence: checkedInteger(sequence, 'sequence'),
    originalTime: checkedText(originalTime, 'originalTime', /^\d{1,12}\.\d{6}$/, 'seconds.micros'),
    length: checkedInteger(length, 'length', 0, 0xffffffff),
    sourcePort: optionalInteger(source.port, 'source.port', 65535),
  };
}

/** An endpoint without a port has none: `undefined` would be one too many. */
export function checkedEnd({ ip, port }: PacketEnd, where: 'source' | 'destination'): CheckedEnd {
  const checked = checkedIp(ip, `${where}.ip`);
  return port === undefined ? { ip: checked } : { ip: checked, port: checkedInteger(port, `${where}.port`, 0, 65535) };
}

function optionalInteger(value: number | undefined, where: string, max: number): number | undefined {
  return value === undefined ? undefined : checkedInteger(value, where, 0, max);
}
