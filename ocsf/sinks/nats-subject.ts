import type { OutgoingEvent } from './outgoing-event.ts';

const maxTokenLength = 128;

/**
 * The subject of an event: `ocsf.<class>.<device uid>`, for example `ocsf.network_activity.vm1`; `unknown` stands where
 * the event has no device.
 */
export function subjectOf({ className, deviceUid }: OutgoingEvent): string {
  return `ocsf.${token(className)}.${token(deviceUid ?? 'unknown')}`;
}

/**
 * A text as one token: all but letters, digits, `-` and `_` as `%XX`, byte for byte, since dots, stars and spaces have a
 * meaning in subjects. Source: https://docs.nats.io/nats-concepts/subjects
 */
function token(text: string): string {
  return Array.from(Buffer.from(text.slice(0, maxTokenLength)), (byte) => {
    const character = String.fromCharCode(byte);
    if (/[A-Za-z0-9_-]/.test(character)) return character;
    return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}
