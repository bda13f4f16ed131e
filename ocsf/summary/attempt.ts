import { isIP } from 'node:net';
import { at, numberAt } from '../short-text.ts';
import { bounded } from './bounded.ts';

/** What an event tells of somebody who tried to reach something. */
export type Attempt = {
  readonly kind: 'packet' | 'request';
  readonly outcome: 'refused' | 'failed' | 'allowed';
  /** How often: `count` of an aggregate, else 1. */
  readonly count: number;
  /** Epoch milliseconds. */
  readonly first: number;
  readonly last: number;
  /** IANA protocol number. */
  readonly protocol: number | undefined;
  /** An address in valid form. */
  readonly ip: string | undefined;
  /** What was asked for: a name, or an address; the workload's word. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  /** Base name of the executable, or the process's name. */
  readonly program: string | undefined;
  readonly uid: string | undefined;
  readonly exec: string | undefined;
  /** Why, for programs and for people, as the event has it. */
  readonly code: string | undefined;
  readonly detail: string | undefined;
};

const maxHost = 255;
const maxName = 80;
const maxDetail = 1024;

/** Reads an event of any origin; `undefined` when it is neither a refused packet nor a request. */
export function attemptOf(event: object): Attempt | undefined {
  const uid = numberAt(event, 'class_uid');
  const action = numberAt(event, 'action_id');
  if (uid === 4001 && action === 2) return attempt(event, 'packet', 'refused');
  if (uid !== 4002) return undefined;
  if (action === 2) return attempt(event, 'request', 'refused');
  return action === 1 ? attempt(event, 'request', at(event, 'status_id') === 2 ? 'failed' : 'allowed') : undefined;
}

function attempt(event: object, kind: Attempt['kind'], outcome: Attempt['outcome']): Attempt {
  const time = instantAt(event, 'time') ?? 0;
  const ip = textAt(event, 'dst_endpoint.ip', maxHost);
  const host = textAt(event, 'dst_endpoint.hostname', maxHost) ?? textAt(event, 'http_request.url.hostname', maxHost);
  return {
    kind,
    outcome,
    count: countOf(event),
    first: instantAt(event, 'start_time') ?? time,
    last: instantAt(event, 'end_time') ?? time,
    protocol: integerAt(event, 'connection_info.protocol_num', 255),
    ip: ip !== undefined && isIP(ip) !== 0 && !ip.includes('%') ? ip : undefined,
    host: kind === 'request' ? (host ?? ip) : ip,
    port: integerAt(event, 'dst_endpoint.port', 65_535),
    program: programOf(event),
    uid: textAt(event, 'actor.user.uid', maxName) ?? textAt(event, 'actor.process.user.uid', maxName),
    exec: textAt(event, 'unmapped.exec.id', maxName),
    code: textAt(event, 'status_code', maxName),
    detail: textAt(event, 'status_detail', maxDetail),
  };
}

/** An executable's path says more than a name, which a process may give itself. */
function programOf(event: object): string | undefined {
  const path = textAt(event, 'actor.process.file.path', 4096);
  const base = path === undefined ? undefined : bounded(path.slice(path.lastIndexOf('/') + 1), maxName);
  return base === undefined || base === '' ? textAt(event, 'actor.process.name', maxName) : base;
}

/** An event of a single packet has no count; what is no number of packets counts as one event. */
function countOf(event: object): number {
  const count = numberAt(event, 'count');
  return count !== undefined && Number.isSafeInteger(count) && count >= 1 ? count : 1;
}

/** Milliseconds that Date knows. */
function instantAt(event: object, path: string): number | undefined {
  const value = numberAt(event, path);
  return value !== undefined && Math.abs(value) <= 8.64e15 ? value : undefined;
}

function integerAt(event: object, path: string, max: number): number | undefined {
  const value = numberAt(event, path);
  return value !== undefined && Number.isInteger(value) && value >= 0 && value <= max ? value : undefined;
}

function textAt(event: object, path: string, max: number): string | undefined {
  const value = at(event, path);
  return typeof value === 'string' && value !== '' ? bounded(value, max) : undefined;
}
