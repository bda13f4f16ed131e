const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const maxTime = 2 ** 48 - 1;
const maxRandom = 2n ** 80n - 1n;

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
  let random = 0n;
  return () => {
    const now = Math.min(Math.max(Math.trunc(parts.now()), 0), maxTime);
    if (now > time) {
      time = now;
      random = bigintOf(parts.randomBytes(10));
    } else if (random < maxRandom) {
      random += 1n;
    } else {
      time += 1;
      random = bigintOf(parts.randomBytes(10));
    }
    return encode(BigInt(time), 10) + encode(random, 16);
  };
}

function bigintOf(bytes: Uint8Array): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function encode(value: bigint, length: number): string {
  return Array.from({ length }, (_, index) =>
    alphabet.charAt(Number((value >> BigInt(5 * (length - 1 - index))) & 31n)),
  ).join('');
}
