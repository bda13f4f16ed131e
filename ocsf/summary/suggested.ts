import type { AdviceKind } from '../advice.ts';
import { isMetadataHost } from '../destination.ts';
import { allowDirect, allowRequest, type Suggestion } from '../suggestion.ts';
import type { Attempt } from './attempt.ts';

/** Cases in which letting the packets out is a remedy. A name that is missing in the packet cannot be allowed. */
const directCases: readonly AdviceKind[] = ['ntp', 'ssh', 'icmp', 'private', 'tcp', 'direct'];

/** Codes of requests that a further rule would allow. */
const deniedByPolicy: readonly string[] = [
  'HOST_NOT_ALLOWED',
  'PORT_NOT_ALLOWED',
  'ADDRESS_NOT_ALLOWED',
  'ADDRESS_FORBIDDEN',
];

/** More ports than this nobody means to open one by one. */
const maxPorts = 16;

/** What would allow attempts of one kind at one destination; nothing where no rule would, or none should. */
export function suggestionFor(
  { kind, outcome, protocol, host, ip, code }: Attempt,
  advice: AdviceKind | undefined,
  ranges: readonly (readonly [number, number])[],
): Partial<Suggestion> {
  const ports = ranges.map(([from, to]) => (from === to ? from : `${from}-${to}`));
  const count = ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  if (outcome !== 'refused' || host === undefined || count > maxPorts || isMetadataHost(host)) return {};
  if (kind === 'packet') {
    if (advice === undefined || !directCases.includes(advice) || protocol === undefined || ip === undefined) return {};
    return allowDirect(protocol, ip, ports) ?? {};
  }
  if (code === undefined || !deniedByPolicy.includes(code)) return {};
  // A name that leads to a forbidden address is allowed already: it is the address that a rule has to list.
  const target = code === 'ADDRESS_FORBIDDEN' ? ip : host;
  return target === undefined ? {} : (allowRequest(target, ports) ?? {});
}
