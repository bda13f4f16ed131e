import { isTapwardenError, type TapwardenError } from '../base/index.ts';
import { deviceOf, type EventContext, metadataOf } from './context.ts';
import type { BaseEvent, EventBody, EventDraft, JsonObject, JsonValue } from './event.ts';
import { finish, wellFormed } from './finish.ts';
import type { Problem } from './validate/problem.ts';
import { validateEvent } from './validate/validate-event.ts';

/** An event as it may be written, and whether it is the one that was given. */
export type Checked = {
  readonly body: EventBody<EventDraft>;
  /** What is wrong with the event that was given, where `body` carries it instead of being it. */
  readonly errors: readonly Problem[];
};

/** What a carrier takes over of the event that it carries. */
const maxDepth = 12;
const maxParts = 2000;
const maxTextLength = 1024;
const maxErrors = 16;

/**
 * Validates an event on its way to the log. One that is not valid is neither lost nor written as if it were: a Base
 * Event `event-invalid` of severity High goes in its place, which carries it in `unmapped.event`, cut to a size that fits
 * into a line, beside the first errors and their number in `unmapped.invalid`.
 */
export function checkEvent(body: EventBody<EventDraft>, context: EventContext, now: number): Checked {
  const { errors } = validateEvent(body, { warnings: false });
  return errors.length === 0 ? { body, errors } : { body: carry(body, errors, context, now), errors };
}

/**
 * What goes into the log in place of an event that a builder refused to make, with EVENT_INVALID: the same Base Event, which
 * carries what the event was to be made from.
 */
export function carryUnmade(
  given: unknown,
  error: TapwardenError,
  context: EventContext,
  now: number,
): EventBody<BaseEvent> {
  const path = String(error.details['where'] ?? error.details['path'] ?? '');
  return carry(given, [{ path, rule: 'form', message: error.message }], context, now);
}

function carry(event: unknown, errors: readonly Problem[], context: EventContext, now: number): EventBody<BaseEvent> {
  const given = memberOf(event, 'time');
  const isTime = typeof given === 'number' && Number.isSafeInteger(given) && given >= 0 && given <= 8.64e15;
  const described: BaseEvent = {
    time: isTime ? given : now,
    class_uid: 0,
    activity_id: 99,
    activity_name: 'event-invalid',
    severity_id: 4,
    status_id: 2,
    message: `An event that is not valid OCSF is carried by this one: class ${nameOf(memberOf(event, 'class_uid'))}`,
    status_detail: `${errors[0]?.path || 'the event'} ${errors[0]?.message}`,
    metadata: { ...metadataOf(context, 'driver', 'event-invalid'), version: context.ocsfVersion },
    device: deviceOf(context),
    unmapped: {
      invalid: { errors: errors.length, first: errors.slice(0, maxErrors).map(errorOf) },
      event: partOf(event, 0, { parts: 0 }) ?? '(nothing)',
    },
  };
  const carrier = finishedIfValid(described);
  if (carrier !== undefined) return carrier;
  // The context itself is at fault: what cannot be wrong is left, and the event has the rest.
  const { correlation_uid: run, log_name: log } = described.metadata;
  const bare = { product: { name: 'tapwarden' }, correlation_uid: `${run}`, log_name: `${log}` } as const;
  return finish<BaseEvent>({
    ...described,
    metadata: { ...bare, version: '1.8.0', event_code: 'event-invalid' },
    device: { type_id: 6, uid: `${context.sandboxId}` },
  });
}

function finishedIfValid(draft: BaseEvent): EventBody<BaseEvent> | undefined {
  try {
    const event = finish<BaseEvent>(draft);
    return validateEvent(event, { warnings: false }).errors.length === 0 ? event : undefined;
  } catch (error) {
    if (isTapwardenError(error, 'EVENT_INVALID')) return undefined;
    throw error;
  }
}

function errorOf({ path, rule, message }: Problem): JsonObject {
  return { path, rule, message };
}

/** The event as plain JSON without `null`, within bounds: what is too deep, too long or no JSON is said in words. */
function partOf(value: unknown, depth: number, seen: { parts: number }): JsonValue | undefined {
  seen.parts += 1;
  switch (typeof value) {
    case 'string':
      return wellFormed(value.slice(0, maxTextLength));
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER ? value : `(the number ${value})`;
    case 'undefined':
      return undefined;
    case 'object':
      if (value === null) return '(null)';
      return depth >= maxDepth ? '(nested too deep)' : partsOf(value, depth, seen);
    default:
      return `(a ${typeof value})`;
  }
}

function partsOf(value: object, depth: number, seen: { parts: number }): JsonValue {
  const parts = Object.entries(value).flatMap(([key, part]): [string, JsonValue][] => {
    if (seen.parts >= maxParts) return [];
    const found = partOf(part, depth + 1, seen);
    return found === undefined ? [] : [[wellFormed(key.slice(0, 64)), found]];
  });
  return Array.isArray(value) ? parts.map(([, part]) => part) : Object.fromEntries(parts);
}

function nameOf(classUid: unknown): string {
  return typeof classUid === 'number' || typeof classUid === 'string' ? String(classUid).slice(0, 32) : 'unknown';
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}
