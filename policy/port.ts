import { quoteText } from '../base/escape.ts';
import { bad, type Checked, ok, type PortRange } from './model.ts';

/** Reads a port or a range of ports from text. `'443'` gives `[443, 443]`, `'8000-8010'` gives `[8000, 8010]`. */
export function parsePortRange(text: string): Checked<PortRange> {
  const match = /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(text);
  const from = Number(match?.[1] ?? Number.NaN);
  const to = Number(match?.[2] ?? from);
  if (!(from <= 65535 && to <= 65535)) {
    return bad(
      `${quoteText(text, 40)} is not a port`,
      'Write a decimal number from 1 to 65535, or a range such as "8000-8010".',
    );
  }
  if (from > to) return bad(`The range ${from}-${to} ends before it begins`, `Write "${to}-${from}".`);
  return ok([from, to]);
}

/** Says whether `port` is in one of `ports`. */
export function hasPort(ports: readonly PortRange[], port: number): boolean {
  return ports.some(([from, to]) => from <= port && port <= to);
}

/** Writes ports for a person, as a policy writes them. Example: `'443, 8000-8010'`. */
export function formatPorts(ports: readonly PortRange[]): string {
  return ports.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(', ');
}
