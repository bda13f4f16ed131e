import { TapwardenError } from '../base/errors.ts';

/** The first four bytes of LZ4's legacy frame, which `lz4 -l` writes and the kernel's build uses. */
export const lz4LegacyMagic = Uint8Array.of(0x02, 0x21, 0x4c, 0x18);

/**
 * Decompresses one frame in LZ4's legacy format: the magic, then blocks of a 32-bit length and that many bytes.
 *
 * `size` is the number of bytes that must come out, so that damaged input can neither grow without bound nor pass.
 *
 * @throws IMAGE_BUILD_FAILED when the frame is damaged or does not make `size` bytes
 * Source: lz4_Frame_format.md ("Legacy frame") and lz4_Block_format.md of LZ4 1.9
 */
export function decompressLz4Legacy(frame: Uint8Array, size: number): Uint8Array {
  if (!lz4LegacyMagic.every((byte, index) => frame[index] === byte)) throw damaged(0, 'the magic number is not there');
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const out = new Uint8Array(size);
  let written = 0;
  let at = lz4LegacyMagic.length;
  while (written < size) {
    if (at + 4 > frame.length) throw damaged(at, `it ends after ${written} of ${size} bytes`);
    const blockEnd = at + 4 + view.getUint32(at, true);
    if (blockEnd > frame.length) throw damaged(at, 'a block reaches past the end');
    written = decompressBlock(frame.subarray(0, blockEnd), at + 4, out, written);
    at = blockEnd;
  }
  return out;
}

/** Appends the bytes of one block, which starts at `at` and ends with `block`, to `out`; returns the new length. */
function decompressBlock(block: Uint8Array, start: number, out: Uint8Array, outStart: number): number {
  let at = start;
  let written = outStart;
  const next = (): number => {
    const byte = block[at];
    if (byte === undefined) throw damaged(at, 'a block ends inside a sequence');
    at += 1;
    return byte;
  };
  // Lengths that do not fit four bits go on in bytes until one is not 255.
  const extend = (length: number): number => {
    let total = length;
    if (length === 15) {
      let byte = 255;
      while (byte === 255) {
        byte = next();
        total += byte;
      }
    }
    return total;
  };
  while (at < block.length) {
    const token = next();
    const literals = extend(token >> 4);
    if (at + literals > block.length || written + literals > out.length)
      throw damaged(at, 'literals reach past the end');
    out.set(block.subarray(at, at + literals), written);
    at += literals;
    written += literals;
    // The last sequence of a block has literals only.
    if (at === block.length) break;
    const offset = next() | (next() << 8);
    const length = extend(token & 15) + 4;
    if (offset === 0 || offset > written - outStart || written + length > out.length) {
      throw damaged(at, 'a match points outside the output');
    }
    if (offset >= length) {
      out.copyWithin(written, written - offset, written - offset + length);
      written += length;
    } else {
      // A match may overlap what it writes, and then repeats it: byte by byte.
      for (const end = written + length; written < end; written += 1) out[written] = out[written - offset] ?? 0;
    }
  }
  return written;
}

function damaged(at: number, what: string): TapwardenError {
  return new TapwardenError('IMAGE_BUILD_FAILED', {
    message: `Cannot decompress the kernel at byte ${at}: ${what}`,
    hint: "Remove the package from apt's cache ('apt-get clean') and try again.",
    details: { at },
  });
}
