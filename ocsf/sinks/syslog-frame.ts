import type { OutgoingEvent } from './outgoing-event.ts';

/** Facility local0: the one that configurations are free to route as they like. Source: RFC 5424, table 1 */
const facility = 16;

/**
 * Severity of syslog by severity of OCSF. Fatal is an alert and no emergency, which syslog daemons write on every
 * terminal of the machine. Source: RFC 5424, table 2
 */
const severities: Readonly<Record<number, number>> = { 1: 6, 2: 5, 3: 4, 4: 3, 5: 2, 6: 1 };
const notice = 5;

/**
 * Renders an event as a message of RFC 5424 with its length before it, as RFC 6587 (octet counting) and RFC 5425 have it.
 *
 * The message is the line of the log. It stands without a byte order mark, which RFC 5424 allows and with which it would
 * not be JSON. There is no structured data: all that it could hold is in the JSON.
 *
 * Example: `142 <132>1 2026-09-21T14:13:20.123Z host tapwarden - network_activity - {"time":…}`
 */
export function renderFrame({ json, time, severityId, className }: OutgoingEvent, hostname: string): Buffer {
  const priority = facility * 8 + (severities[severityId] ?? notice);
  const header = [
    `<${priority}>1`,
    timestampOf(time),
    nameOf(hostname, 255),
    'tapwarden',
    '-',
    nameOf(className, 32),
    '-',
  ].join(' ');
  // The header is ASCII.
  return Buffer.concat([Buffer.from(`${header.length + 1 + json.length} ${header} `), json]);
}

function timestampOf(time: number | undefined): string {
  if (time === undefined || time < 0 || time > 253_402_300_799_999) return '-';
  return new Date(time).toISOString();
}

/** Printable ASCII without space; `-` where nothing is left. */
function nameOf(text: string, maxLength: number): string {
  return text.replace(/[^\x21-\x7e]/g, '').slice(0, maxLength) || '-';
}
