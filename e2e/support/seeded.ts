/** A seeded source of numbers from 0 up to 1, so that a failure can be run again. Source: mulberry32, public domain. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Changes one to three bytes of a text: replaced, removed, doubled or inserted. */
export function mutate(random: () => number, text: string): string {
  const bytes = [...Buffer.from(text, 'latin1')];
  const times = 1 + Math.floor(random() * 3);
  for (let i = 0; i < times; i += 1) {
    const at = Math.floor(random() * bytes.length);
    const byte = Math.floor(random() * 256);
    const how = Math.floor(random() * 4);
    if (how === 0) bytes[at] = byte;
    else if (how === 1) bytes.splice(at, 1 + Math.floor(random() * 4));
    else if (how === 2) bytes.splice(at, 0, ...bytes.slice(at, at + 1 + Math.floor(random() * 8)));
    else bytes.splice(at, 0, byte);
  }
  return Buffer.from(bytes).toString('latin1');
}
