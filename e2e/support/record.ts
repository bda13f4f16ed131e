import { readFile } from 'node:fs/promises';
import { schemaAvailable, validateEvent } from './ocsf-schema.ts';

/** An event of a log, as far as tests read it. */
export type LoggedEvent = {
  readonly class_uid: number;
  readonly activity_id: number;
  readonly activity_name: string;
  readonly message: string;
  readonly count?: number;
  readonly severity_id: number;
  readonly status_code?: string;
  readonly status_detail?: string;
  readonly exit_code?: number;
  readonly metadata: {
    readonly uid: string;
    readonly sequence: number;
    readonly event_code: string;
    readonly correlation_uid: string;
    readonly original_event_uid?: string;
    readonly labels?: readonly string[];
  };
  readonly device: { readonly uid: string };
  readonly actor?: { readonly user?: { readonly uid: string } };
  readonly process?: {
    readonly cmd_line: string;
    readonly working_directory: string;
    readonly user?: { readonly uid: string };
  };
  readonly src_endpoint?: { readonly ip?: string; readonly port?: number };
  readonly dst_endpoint?: { readonly ip?: string; readonly port?: number; readonly hostname?: string };
  readonly connection_info?: { readonly protocol_num?: number };
  readonly http_request?: { readonly http_method?: string; readonly url: { readonly url_string: string } };
  readonly http_response?: { readonly code: number };
  readonly finding_info?: { readonly uid: string; readonly types: readonly string[] };
  readonly firewall_rule?: { readonly name: string };
  readonly unmapped?: {
    readonly attribution?: string;
    readonly canary?: { readonly link: string; readonly packet?: string };
    readonly aggregation?: { readonly reason: string };
    readonly complete?: boolean;
    readonly incomplete?: readonly string[];
    readonly exec?: { readonly id: string };
    readonly counts?: Readonly<Record<string, number>>;
    readonly slot?: Readonly<Record<string, number>>;
    readonly ruleset?: { readonly where: string; readonly differences: number; readonly restored_ms?: number };
    readonly evidence?: { readonly forged?: Readonly<Record<string, number>> };
    readonly loss?: { readonly missing_records: number; readonly first: number; readonly last: number };
    readonly icmp?: { readonly type: number; readonly code: number };
  };
};

/** What `--result` writes. */
export type RunResult = {
  readonly exit: number;
  readonly reason: 'exited' | 'signal' | 'timeout' | 'tapwarden';
  readonly allowed: number;
  readonly denied: number;
  readonly attempts: number;
  readonly lost: number | null;
  readonly complete: boolean;
  readonly incomplete: readonly string[];
  readonly invalid: number;
  readonly findings: number;
  readonly bypassed: number;
  readonly events: string;
};

/** Reads an event log as far as it is written; empty where there is none. */
export async function readEvents(path: string): Promise<readonly LoggedEvent[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  // A line that is being written is seen up to the end of a page of memory.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LoggedEvent);
}

/** Whether an event log ends with a whole line, or is not there. */
export async function endsWhole(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text === '' || text.endsWith('\n');
}

/** Reads a result file; `undefined` where there is none. */
export async function readResult(path: string): Promise<RunResult | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as RunResult);
}

/** The events that tell of packets which the fence refused, one by one or many at once. */
export function refusals(events: readonly LoggedEvent[]): readonly LoggedEvent[] {
  const codes = ['egress-denied', 'egress-denied-aggregate'];
  return events.filter(({ metadata }) => codes.includes(metadata.event_code));
}

/** The events of one code. Example: `withCode(events, 'connect-allowed')`. */
export function withCode(events: readonly LoggedEvent[], code: string): readonly LoggedEvent[] {
  return events.filter(({ metadata }) => metadata.event_code === code);
}

/**
 * What is wrong with a log: events that their OCSF schema refuses, a gap in the sequence, an id given twice. A line for
 * each; empty when all is well.
 */
export function logProblems(events: readonly LoggedEvent[]): readonly string[] {
  const invalid =
    schemaAvailable() === undefined
      ? events.flatMap((event, at) => validateEvent(event).map((problem) => `event ${at + 1}: ${problem}`))
      : [];
  const gaps = events.flatMap(({ metadata }, at) =>
    metadata.sequence === at + 1 ? [] : [`event ${at + 1} has the sequence number ${metadata.sequence}`],
  );
  const ids = new Set(events.map(({ metadata }) => metadata.uid));
  return [...invalid, ...gaps, ...(ids.size === events.length ? [] : ['two events have the same uid'])];
}

/**
 * What is wrong between a run's result and its events: packets that the counters tell of and no event, or the other way
 * round; counts in the last event that differ.
 */
export function resultProblems(result: RunResult, events: readonly LoggedEvent[]): readonly string[] {
  const problems: string[] = [];
  const expect = (what: string, found: unknown, wanted: unknown): void => {
    if (found !== wanted) problems.push(`${what}: ${String(found)} in the events, ${String(wanted)} in the result`);
  };
  const run = events.filter(({ metadata }) => metadata.correlation_uid === events.at(-1)?.metadata.correlation_uid);
  // Who writes the record died before its last event: the result says that nothing is known, and nothing can be compared.
  const cutOff = withCode(run, 'sandbox-stopped').length === 0;
  if (cutOff && result.reason === 'tapwarden' && result.lost === null) return [];
  const denied = refusals(run);
  const told = withCode(denied, 'egress-denied');
  if (result.lost !== null) {
    expect(
      'packets refused',
      denied.reduce((sum, { count }) => sum + (count ?? 1), 0),
      result.denied,
    );
    expect('packets without an event of their own', result.denied - told.length, result.lost);
  }
  const withDestination = denied.filter((event) => event.dst_endpoint !== undefined);
  expect('distinct attempts', new Set(withDestination.map(attemptOf)).size, result.attempts);
  expect('requests allowed', withCode(run, 'connect-allowed').length, result.allowed);
  expect('events that are not valid', withCode(run, 'event-invalid').length, result.invalid);
  const stopped = withCode(run, 'sandbox-stopped');
  if (events.length > 0) {
    expect('last event', events.at(-1)?.metadata.event_code, 'sandbox-stopped');
    expect('denied, in the last event', stopped[0]?.unmapped?.counts?.['denied'], result.denied);
    expect('reasons, in the last event', stopped[0]?.unmapped?.incomplete?.length ?? 0, result.incomplete.length);
    expect('complete, in the last event', stopped[0]?.unmapped?.complete, result.complete);
  }
  return problems;
}

/** An attempt by what makes it one: destination, protocol number and port. Example: `'198.51.100.1 6 80'`. */
export function attemptOf({ dst_endpoint: end, connection_info: connection }: LoggedEvent): string {
  return `${end?.ip} ${connection?.protocol_num} ${end?.port ?? '-'}`;
}
