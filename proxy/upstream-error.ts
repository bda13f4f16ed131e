import { errnoOf, escapeText, messageOf } from '../base/index.ts';
import type { ProblemCode } from './answer.ts';

/** What can go wrong between the proxy and the next hop, once the request is allowed. */
export type UpstreamErrorCode = Extract<ProblemCode, `UPSTREAM_${string}` | `GATEWAY_${string}`>;

/** An error of the way to the upstream or the gateway. It is told to the client by `code` and never leaves the proxy. */
export class UpstreamError extends Error {
  readonly code: UpstreamErrorCode;
  /** The system error behind it, for example `'ECONNRESET'`. */
  readonly errno: string | undefined;

  constructor(code: UpstreamErrorCode, what: string, cause?: unknown) {
    const errno = errnoOf(cause);
    const detail = cause === undefined ? '' : `: ${errno ?? escapeText(messageOf(cause), 200)}`;
    super(`${what}${detail}`, { cause });
    this.name = 'UpstreamError';
    this.code = code;
    this.errno = errno;
  }
}
