import { escapeText, TapwardenError } from '../../base/index.ts';

const maxReasonLength = 300;

/** The error of events that the receiver will never take. `reason` may be the receiver's own words. */
export function refused(name: string, reason: string): TapwardenError {
  return new TapwardenError('SINK_REFUSED', { message: `${name} refused: ${escapeText(reason, maxReasonLength)}` });
}

/** The error of a receiver that is away or not willing now. */
export function unavailable(
  name: string,
  reason: string,
  parts: { readonly hint?: string; readonly retryAfterMs?: number; readonly cause?: unknown } = {},
): TapwardenError {
  return new TapwardenError('SINK_UNAVAILABLE', {
    message: `${name}: ${escapeText(reason, maxReasonLength)}`,
    ...(parts.hint === undefined ? {} : { hint: parts.hint }),
    ...(parts.retryAfterMs === undefined ? {} : { details: { retryAfterMs: parts.retryAfterMs } }),
    cause: parts.cause,
  });
}

/** The error of an address or setting that no sink can have. */
export function invalid(problem: string, hint?: string): TapwardenError {
  return new TapwardenError('SINK_INVALID', { message: problem, ...(hint === undefined ? {} : { hint }) });
}
