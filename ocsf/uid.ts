const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const maxTime = 2 ** 48 - 1;
/** The random part is counted in two halves, which fit into numbers as they are. */
const halfSize = 2 ** 40;

/** What a uid is made from. */
export type UidParts = {
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Returns that many random bytes. */
  readonly randomBytes: (size: number) => Uint8Array;
};

/**
 * Makes a function that returns a new ULID at each call: 26 characters that sort as the calls were made, even within a
 * millisecond and when the clock goes back. Example: `'01J8Z6Q8W7M0V5T3N2K1H0G9F8'`.
 * Source: https://github.com/ulid/spec
 */
export function createUidSource(parts: UidParts): () => string {
  let time = -1;
  let [high, low] = [0, 0];
  /** The text of the time and the high half, which seldom change. */
  let begin = '';
  const draw = (): void => {
    const bytes = parts.randomBytes(10);
    [high, low] = [numberOf(bytes.subarray(0, 5)), numberOf(bytes.subarray(5))];
  };
  return () => {
    const now = Math.min(Math.max(Math.trunc(parts.now()), 0), maxTime);
    low += 1;
    if (now > time) {
      time = now;
      draw();
    } else if (low < halfSize) {
      return begin + encode(low, 8);
    } else if (high + 1 < halfSize) {
      [high, low] = [high + 1, 0];
    } else {
      time += 1;
      draw();
    }
    begin = encode(time, 10) + encode(high, 8);
    return begin + encode(low, 8);
  };
}

function numberOf(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}

function encode(value: number, length: number): string {
  let text = '';
  for (let rest = value; text.length < length; rest = Math.floor(rest / 32)) text = alphabet.charAt(rest % 32) + text;
  return text;
}
