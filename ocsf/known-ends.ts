import type { Destination } from './destination.ts';
import type { Observable } from './event.ts';
import type { CheckedEnd, PacketEnd } from './packet.ts';

/** What events of packets of one kind and sender to one end have in common. */
export type EndParts = {
  /** Sealed, as are the observables: the validator and the serialiser know them again. */
  readonly end: CheckedEnd;
  readonly message: string;
  readonly detail: string;
  readonly observables: readonly Observable[];
};

/** An end that packets were refused to. What its events have in common is worked out when it is met again. */
export type KnownEnd = {
  readonly port: number | undefined;
  readonly end: CheckedEnd;
  readonly destination: Destination;
  parts: EndParts | undefined;
};

/** Ends by their address as the kernel writes it. */
export type KnownEnds = Map<string, KnownEnd[]>;

/** Ports of one address that are looked through; a scan of more of them is not remembered. */
const maxPorts = 16;

/** The end of an earlier packet, or `undefined`. */
export function knownEnd(ends: KnownEnds, { ip, port }: PacketEnd): KnownEnd | undefined {
  const known = ends.get(ip);
  if (known === undefined) return undefined;
  for (const one of known) if (one.port === port) return one;
  return undefined;
}

/** Remembers an end that was `given` and checked. */
export function rememberEnd(
  ends: KnownEnds,
  given: PacketEnd,
  { end, destination }: Pick<KnownEnd, 'end' | 'destination'>,
): void {
  const known = { port: given.port, end, destination, parts: undefined };
  const others = ends.get(given.ip);
  if (others === undefined) ends.set(given.ip, [known]);
  else if (others.length < maxPorts) others.push(known);
  else others.splice(0, others.length, known);
}
