import { isIP } from 'node:net';
import type { FormName } from '../schema/data-types.ts';

/** A form of text. */
export type Form = {
  /** What the text must be, for example `an IPv4 or IPv6 address`. */
  readonly must: string;
  /** Whether the text is one. */
  readonly holds: (text: string) => boolean;
  /** What the text had better be, where that is more than it must. */
  readonly should?: { readonly be: string; readonly holds: (text: string) => boolean };
};

const mac = /^(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$/;
const uuid = /^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$/;
const email = /^[\w!#$%&'*+,./=?^`{|}~-]+@[A-Za-z0-9-]+\.[A-Za-z0-9.-]+$/;
const base64 = /^(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2}==|[A-Za-z0-9+/_-]{3}=)?$/;
const datetime = /^\d{4}-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:[Zz]|[+-](\d{2}):(\d{2}))?$/;
const maxIpLength = 40;
const maxSubnetLength = 42;

/** The forms, by name. All take time in proportion to the text at most. */
export const forms: Readonly<Record<FormName, Form>> = {
  ip: { must: 'an IPv4 or IPv6 address', holds: (text) => text.length <= maxIpLength && isIP(text) !== 0 },
  mac: { must: 'a MAC address, like 00:16:3e:00:00:01', holds: (text) => mac.test(text) },
  uuid: { must: 'a UUID', holds: (text) => uuid.test(text) },
  email: { must: 'an email address', holds: (text) => email.test(text) },
  base64: { must: 'padded Base64', holds: (text) => base64.test(text) },
  datetime: {
    must: 'a date and time of RFC 3339',
    holds: isDatetime,
    should: { be: 'with an offset from UTC, as RFC 3339 has it', holds: (text) => /[Zz]$|[+-]\d{2}:\d{2}$/.test(text) },
  },
  subnet: {
    must: `at most ${maxSubnetLength} characters`,
    holds: (text) => text.length <= maxSubnetLength,
    should: { be: 'an address and a prefix length, like 10.0.0.0/8', holds: isSubnet },
  },
  url: { must: 'text', holds: () => true, should: { be: 'an absolute URL', holds: (text) => URL.canParse(text) } },
};

function isDatetime(text: string): boolean {
  const found = datetime.exec(text);
  if (found === null) return false;
  const [month, day, hour, minute, second, offsetHour, offsetMinute] = found.slice(1).map((part) => Number(part ?? 0));
  const lastDay = new Date(Date.UTC(Number(text.slice(0, 4)), month ?? 0, 0)).getUTCDate();
  return (
    within(month, 1, 12) &&
    // Years below 100 mean others to Date; their leap days are not worth more.
    within(day, 1, lastDay) &&
    within(hour, 0, 23) &&
    within(minute, 0, 59) &&
    // 60 is a leap second.
    within(second, 0, 60) &&
    within(offsetHour, 0, 23) &&
    within(offsetMinute, 0, 59)
  );
}

function within(value: number | undefined, min: number, max: number): boolean {
  return value !== undefined && value >= min && value <= max;
}

function isSubnet(text: string): boolean {
  const slash = text.indexOf('/');
  const family = isIP(text.slice(0, slash));
  const length = text.slice(slash + 1);
  return slash > 0 && /^\d{1,3}$/.test(length) && Number(length) <= (family === 0 ? -1 : family === 4 ? 32 : 128);
}
