const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const maxTime = 2 ** 48 - 1;
const maxUpper = 2n ** 60n - 1n;

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
  /** The upper 60 of the 80 random bits. */
  let upper = 0n;
  /** The lower 20, which are counted up within a millisecond. */
  let lower = 0;
  /** The text of all but the lower bits: it changes once a millisecond at most. */
  let prefix = '';
  const begin = (at: number): void => {
    const random = bigintOf(parts.randomBytes(10));
    time = at;
    upper = random >> 20n;
    lower = Number(random & 0xfffffn);
    prefix = encode(BigInt(time), 10) + encode(upper, 12);
  };
  return () => {
    const now = Math.min(Math.max(Math.trunc(parts.now()), 0), maxTime);
    if (now > time) {
      begin(now);
    } else if (lower < 0xfffff) {
      lower += 1;
    } else if (upper < maxUpper) {
      upper += 1n;
      lower = 0;
      prefix = encode(BigInt(time), 10) + encode(upper, 12);
    } else {
      begin(time + 1);
    }
    return prefix + (pairs[lower >> 10] ?? '') + (pairs[lower & 1023] ?? '');
  };
}

/** All texts of ten bits. */
const pairs = Array.from({ length: 1024 }, (_, value) => alphabet.charAt(value >> 5) + alphabet.charAt(value & 31));

function bigintOf(bytes: Uint8Array): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function encode(value: bigint, length: number): string {
  return Array.from({ length }, (_, index) =>
    alphabet.charAt(Number((value >> BigInt(5 * (length - 1 - index))) & 31n)),
  ).join('');
}
