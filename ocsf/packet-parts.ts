import type { RefusedTarget } from './advice.ts';
import { checkedInteger } from './check.ts';
import type { EventContext } from './context.ts';
import type { Endpoint, JsonObject, JsonValue } from './event.ts';
import { wellFormed } from './finish.ts';
import type { CheckedEnd, DeniedPacketInput, PacketEnd } from './packet.ts';
import { originOf } from './packet-origin.ts';
import type { ObjectOf } from './schema/types.ts';

/** Where a packet was to go, for the advice. */
export function targetOf(protocol: number, { ip, port }: CheckedEnd): RefusedTarget {
  return port === undefined ? { protocol, ip } : { protocol, ip, port };
}

/** `src_endpoint`: the sandbox, and its interface. */
export function sourceOf(
  { sandboxId }: EventContext,
  input: DeniedPacketInput,
  { ip, port }: PacketEnd,
): Endpoint & { readonly ip: string } {
  const interfaceOut = wellFormed(input.interfaceOut);
  return port === undefined
    ? { ip, uid: sandboxId, interface_name: interfaceOut }
    : { ip, port, uid: sandboxId, interface_name: interfaceOut };
}

/** `traffic` of one packet of `length` bytes. */
export function trafficOf(length: number): ObjectOf<'network_traffic'> {
  return { packets: 1, bytes: length, packets_out: 1, bytes_out: length };
}

/** What of an input makes its `unmapped`. */
type Unmapped = { readonly [Key in 'uid' | 'icmp' | 'exec' | 'mark' | 'origin']?: DeniedPacketInput[Key] | undefined };

/**
 * `unmapped` of a packet.
 *
 * @throws EVENT_INVALID when a number is out of its range
 */
export function unmappedOf({ uid, icmp, exec, mark, origin }: Unmapped): JsonObject {
  const unmapped: Record<string, JsonValue> = { origin: originOf(origin, uid) };
  if (icmp !== undefined) {
    const [type, code] = [icmp.type, icmp.code];
    unmapped['icmp'] = {
      type: checkedInteger(type, 'icmp.type', 0, 255),
      code: checkedInteger(code, 'icmp.code', 0, 255),
    };
  }
  if (exec !== undefined) unmapped['exec'] = { id: wellFormed(exec.id) };
  if (mark !== undefined) unmapped['mark'] = checkedInteger(mark, 'mark', 0, 0xffffffff);
  return unmapped;
}
