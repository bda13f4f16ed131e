export {
  type AddressRange,
  contains,
  formatAddress,
  formatRange,
  knownRange,
  parseAddress,
  parseAddressRange,
} from './address.ts';
export { addRules, parseAllow } from './allow.ts';
export { type AddressDecision, type AddressRequest, checkAddress, type ForbiddenRange } from './check-address.ts';
export { compileDirect, type DirectEntry, type DirectSets, hasDirect } from './compile-direct.ts';
export { decideHost, type HostDecision, type HostDenyCode, type HostRequest, resolveStatic } from './decide-host.ts';
export { explain } from './explain.ts';
export type { Host } from './host-name.ts';
export {
  type Cidr,
  type DirectRule,
  denyAll,
  type Policy,
  type PortRange,
  type Protocol,
  type ProxyRule,
  policyLimits,
  protocolNumbers,
  type Rule,
  type StaticHost,
} from './model.ts';
export { parsePolicy } from './parse.ts';
export { parsePolicyModel } from './parse-model.ts';
export type { Place, Problem } from './problem.ts';
export type { SpecialName } from './special-range.ts';
