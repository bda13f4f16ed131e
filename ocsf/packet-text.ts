import { type Destination, protocolName } from './destination.ts';
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

/** The protocol in a sentence: `UDP`, or `protocol 253` where it has no name. */
function protocolTitle(protocol: number): string {
  const name = protocolName(protocol);
  return name === String(protocol) ? `protocol ${name}` : name.toUpperCase();
}

/** Why the packet was refused, and what its owner can do. */
export function adviceOf(protocol: number, end: CheckedEnd, destination: Destination): string {
  if (destination.isMetadata) {
    return 'The cloud metadata service hands out credentials and is closed to sandboxes; give the workload what it needs explicitly.';
  }
  if (destination.boundaryId === 1) {
    return 'Nothing but the proxy can be reached on loopback through the fence; use HTTPS_PROXY.';
  }
  if (protocol === 6 || protocol === 17) {
    if (end.port === 53 || end.port === 853) {
      return 'Direct DNS is not permitted; the proxy resolves names, so send requests through HTTPS_PROXY with the name in them.';
    }
    if (end.port === 123) return 'Direct NTP is not permitted; the guest keeps time by its virtual clock.';
  }
  if (protocol === 6 && (end.port === 80 || end.port === 443)) {
    return 'The program did not use the proxy; make it honour HTTP_PROXY and HTTPS_PROXY, and allow the host in the policy.';
  }
  if (protocol === 6) {
    return `Only the proxy leads out; use CONNECT through HTTPS_PROXY with the host allowed in the policy, or add a direct rule for ${targetOf(end)} to the policy.`;
  }
  return `Only the proxy leads out, and ${protocolTitle(protocol)} cannot pass it; add a direct rule for ${targetOf(end)} to the policy if it is needed.`;
}

/** Where a packet was to go. Example: `[2001:db8::1]:53`, or `198.51.100.1` where it has no port. */
export function targetOf(end: { readonly ip: string; readonly port?: number }): string {
  if (end.port === undefined) return end.ip;
  return end.ip.includes(':') ? `[${end.ip}]:${end.port}` : `${end.ip}:${end.port}`;
}
