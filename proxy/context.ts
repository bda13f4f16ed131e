import type { Decide, ProxyLimits, ProxyName, ProxyOptions, Upstream } from './model.ts';
import { createReport, type Report } from './report.ts';

/** What every part of one proxy shares. Nothing in it changes. */
export type Context = {
  readonly name: ProxyName;
  readonly decide: Decide;
  readonly upstream: Upstream;
  readonly limits: ProxyLimits;
  readonly report: Report;
  readonly now: () => number;
};

/** The limits that hold where the caller names none. */
export const defaultLimits: ProxyLimits = {
  maxConnections: 512,
  headersTimeoutMs: 10_000,
  idleTimeoutMs: 600_000,
  connectTimeoutMs: 15_000,
  maxHeaderBytes: 16_384,
};

/** Makes the {@link Context} of one proxy from its options. */
export function createContext(options: ProxyOptions): Context {
  return {
    name: options.name,
    decide: options.decide,
    upstream: options.upstream,
    limits: { ...defaultLimits, ...chainLimits(options.upstream), ...options.limits },
    report: createReport(options),
    now: options.now ?? (() => performance.now()),
  };
}

/** A proxy before another one waits longer than that one, so that the client reads the answer of who knows more. */
function chainLimits({ kind }: Upstream): Partial<ProxyLimits> {
  return kind === 'chain' ? { connectTimeoutMs: defaultLimits.connectTimeoutMs + 5000 } : {};
}
