import { protocolTitle } from './advice.ts';
import type { Destination } from './destination.ts';
import type { CheckedEnd, DeniedPacketInput } from './packet.ts';

/** Ports of TCP and UDP of which the texts, the severity or the technique know something; all others are alike. */
export const knownPorts: readonly number[] = [22, 53, 80, 123, 443, 445, 853];

/** 4 High for a metadata service, 2 Low for the noise of DNS and NTP, 3 Medium for the rest. */
export function severityOf(protocol: number, port: number | undefined, destination: Destination): 2 | 3 | 4 {
  if (destination.isMetadata) return 4;
  return (protocol === 6 || protocol === 17) && (port === 53 || port === 123) ? 2 : 3;
}

/** What happened, for a person: `Direct TCP connection to 203.0.113.10:4444 refused`. */
export function messageOf(input: DeniedPacketInput, end: CheckedEnd): string {
  const target = targetOf(end);
  const done = input.verdict === 'drop' ? 'dropped' : 'refused';
  if (input.icmp !== undefined) return `Direct ICMP packet (type ${input.icmp.type}) to ${target} ${done}`;
  if (input.protocol === 6) return `Direct TCP connection to ${target} ${done}`;
  const title = protocolTitle(input.protocol);
  return `Direct ${title.includes(' ') ? `packet of ${title}` : `${title} packet`} to ${target} ${done}`;
}

/** Where a packet was to go. Example: `[2001:db8::1]:53`, or `198.51.100.1` where it has no port. */
export function targetOf(end: { readonly ip: string; readonly port?: number }): string {
  if (end.port === undefined) return end.ip;
  return end.ip.includes(':') ? `[${end.ip}]:${end.port}` : `${end.ip}:${end.port}`;
}
