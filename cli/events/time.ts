const iso = /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:[Zz]|([+-])(\d\d):?(\d\d))?)?$/;
const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
/** From here on a number is milliseconds: as seconds it would be the year 5138. */
const leastMs = 100_000_000_000;

/**
 * Reads an instant as a person writes it, and returns epoch milliseconds, or `undefined` where it is none:
 *
 * - ISO 8601, `2026-11-23`, `2026-11-23T11:40`, `2026-11-23T11:40:42.647+01:00`; in UTC where it has no zone;
 * - a number, `1790000000` (seconds, with decimals or not) or `1790000000123` (milliseconds, from 12 digits on);
 * - a time ago, `30s`, `10m`, `2h`, `1d`, `1w`.
 */
export function parseTime(text: string, now: number): number | undefined {
  const ago = /^(\d{1,9})([smhdw])$/.exec(text);
  if (ago !== null) return now - Number(ago[1]) * (unitMs[ago[2] ?? ''] ?? Number.NaN);
  if (/^\d{1,15}(?:\.\d{1,9})?$/.test(text)) {
    const number = Number(text);
    return number < leastMs ? Math.round(number * 1000) : Math.round(number);
  }
  return parseIso(text);
}

function parseIso(text: string): number | undefined {
  const match = iso.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const [, , , , , , , fraction, sign, zoneHour, zoneMinute] = match;
  const ms = Math.floor(Number(`0.${fraction ?? 0}`) * 1000);
  const whole = Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second, ms);
  // Date counts on from the 30th of February; a person who wrote it is told.
  const expected = `${match[1]}-${match[2]}-${match[3]}T${match[4] ?? '00'}:${match[5] ?? '00'}:${match[6] ?? '00'}`;
  if (Number.isNaN(whole) || !new Date(whole).toISOString().startsWith(expected)) return undefined;
  if (Number(zoneHour ?? 0) > 23 || Number(zoneMinute ?? 0) > 59) return undefined;
  const zoneMs = (Number(zoneHour ?? 0) * 60 + Number(zoneMinute ?? 0)) * 60_000;
  return sign === '-' ? whole + zoneMs : whole - zoneMs;
}
