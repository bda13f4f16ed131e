import { TapwardenError } from '../base/index.ts';

/**
 * The prefix by which a log line of this fence is known: `TW1 <tag> deny `.
 *
 * `tag` is the run's own secret, 8 to 32 characters `[a-z0-9]`: a program that can make the kernel print a line of its
 * choice still does not know what the line must begin with. The final space ends the prefix, since the kernel appends
 * `IN=` without one.
 */
export type LogPrefix = { readonly tag: string };

const tagPattern = /^[a-z0-9]{8,32}$/;

/**
 * Renders the prefix for a log rule. `{tag: 'k3j9x2ab'}` gives `'TW1 k3j9x2ab deny '`.
 *
 * @throws RULESET_INVALID when the tag has another form
 */
export function encodeLogPrefix({ tag }: LogPrefix): string {
  if (!tagPattern.test(tag)) {
    throw new TapwardenError('RULESET_INVALID', {
      message: 'A log tag is 8 to 32 characters of a-z and 0-9',
      details: { length: tag.length },
    });
  }
  return `TW1 ${tag} deny `;
}

/** The rest of a kernel log line after this run's prefix, or `undefined` when the line does not begin with it. */
export function decodeLogPrefix(line: string, prefix: LogPrefix): string | undefined {
  const text = encodeLogPrefix(prefix);
  return line.startsWith(text) ? line.slice(text.length) : undefined;
}

/** A fresh tag: 16 characters, 80 random bits. `random` is 16 random bytes, of which 5 bits each are used. */
export function makeLogTag(random: Uint8Array): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  return Array.from(random.subarray(0, 16), (byte) => alphabet[byte & 31]).join('');
}
