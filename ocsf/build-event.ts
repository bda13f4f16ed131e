import { TapwardenError } from '../base/index.ts';
import type { EventBody, EventInput } from './event.ts';
import { finish } from './finish.ts';
import type { EventClassUid } from './schema/classes.ts';
import { validateEvent } from './validate/validate-event.ts';

/**
 * Builds an event of any class of the table. Of class, category and type it fills in ids and names, beside each id its
 * caption, the version and the profiles in use in `metadata`, and the observables; what the log adds is the log's. The
 * result is valid, or there is none.
 *
 * Example: `buildEvent({class_uid: 4003, activity_id: 1, severity_id: 1, time: Date.now(), metadata: {product: {name:
 * 'resolver'}}, query: {hostname: 'example.com'}, src_endpoint: {ip: '192.0.2.1'}})`.
 *
 * @throws EVENT_INVALID when the event would not be valid; `details.path` says where, `details.rule` which rule
 */
export function buildEvent<Uid extends EventClassUid>(input: EventInput<Uid>): EventBody<EventInput<Uid>> {
  const event = finish(input);
  const [error] = validateEvent(event, { warnings: false }).errors;
  if (error === undefined) return event as EventBody<EventInput<Uid>>;
  throw new TapwardenError('EVENT_INVALID', {
    message: `No event can be made: ${error.path || 'the event'} ${error.message}`,
    hint: 'Correct the attribute that the message names.',
    details: { path: error.path, rule: error.rule },
  });
}
