import type { ExecutionContext } from 'ava';
import type { Origin } from '../../channel/index.ts';

/** What becomes of one kind of attempt. The kernel tests hold it to be true, and docs/attribution.md is made from it. */
export type AttributionCase = Pick<Origin, 'method' | 'confidence' | 'reason'> & {
  readonly what: string;
  /** What the event names. */
  readonly named: string;
};

const byAudit = { method: 'audit', named: 'the process' } as const;
const unnamed = { confidence: 'low', named: 'the exec' } as const;

/** The kinds of attempts, by name. */
export const attributionCases = {
  addressed: {
    ...byAudit,
    what: 'TCP connect, blocking or not; datagram with an address (sendto, sendmsg, sendmmsg) by UDP, UDP-Lite or an echo socket of IPv4; the process may be gone',
    confidence: 'high',
    reason: null,
  },
  connected: {
    ...byAudit,
    what: 'send, write or writev on a connected datagram socket',
    confidence: 'medium',
    reason: 'destination-not-recorded',
  },
  handedOn: {
    ...byAudit,
    what: 'a socket that a process of another exec was handed',
    confidence: 'low',
    reason: 'mark-disagrees',
    named: 'the process, and both execs',
  },
  atOnce: {
    ...unnamed,
    what: 'several processes of one exec to one destination at the same moment',
    method: 'exec',
    reason: 'several-processes',
    named: 'the exec, and the processes that it can be',
  },
  unrecorded: {
    ...unnamed,
    what: 'an echo request of IPv6, whose call the kernel lets succeed, of a process that is gone',
    method: 'exec',
    reason: 'no-record',
  },
  open: {
    what: 'without audit: a datagram of a process that holds its socket open',
    method: 'socket',
    confidence: 'medium',
    reason: null,
    named: 'the process',
  },
  openEcho: {
    what: 'without audit: an echo request of a process that holds its socket open',
    method: 'proc',
    confidence: 'low',
    reason: null,
    named: 'the process',
  },
  shared: {
    ...unnamed,
    what: 'without audit: a socket that several processes hold',
    method: 'exec',
    reason: 'shared-socket',
    named: 'the exec, and the processes that hold it',
  },
  gone: {
    ...unnamed,
    what: 'without audit: a TCP connect, or any attempt of a process that is gone',
    method: 'exec',
    reason: 'socket-gone',
  },
  unmarked: {
    ...unnamed,
    what: 'without audit, by a process of no exec',
    method: 'uid',
    reason: 'socket-gone',
    named: 'the user',
  },
} as const satisfies Readonly<Record<string, AttributionCase>>;

/** Asserts that an origin was found as its case says. */
export function isCase(t: ExecutionContext, origin: Origin | undefined, name: keyof typeof attributionCases): void {
  const { method, confidence, reason } = attributionCases[name];
  t.like(origin, { method, confidence, reason });
}

/** The generated part of docs/attribution.md. */
export function renderCases(reasons: Readonly<Record<string, string>>): string {
  return [
    '| attempt | named | method | confidence | reason |',
    '|---|---|---|---|---|',
    ...Object.values(attributionCases).map(
      ({ what, named, method, confidence, reason }) =>
        `| ${what} | ${named} | \`${method}\` | ${confidence} | ${reason === null ? '' : `\`${reason}\``} |`,
    ),
    '',
    '| reason | meaning |',
    '|---|---|',
    ...Object.entries(reasons).map(([reason, meaning]) => `| \`${reason}\` | ${meaning} |`),
  ].join('\n');
}
