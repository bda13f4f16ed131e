import { TapwardenError } from '../base/errors.ts';
import { decompressLz4Legacy, lz4LegacyMagic } from './lz4.ts';

const elfMagic = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46);

/**
 * Takes the uncompressed kernel (an ELF file) out of a bzImage, which saves its decompression at each boot.
 *
 * Returns `undefined` where the kernel is compressed otherwise than with LZ4: QEMU boots the bzImage as well, only
 * later. The setup header says where the payload is; the payload's last four bytes say how large it gets.
 *
 * @throws IMAGE_BUILD_FAILED when `bzImage` is none, or its payload is damaged
 * Source: Documentation/x86/boot.rst, Linux 6.1: "setup_sects", "payload_offset", "payload_length" (protocol 2.08)
 */
export function extractVmlinux(bzImage: Uint8Array): Uint8Array | undefined {
  const view = new DataView(bzImage.buffer, bzImage.byteOffset, bzImage.byteLength);
  if (bzImage.length < 0x260 || view.getUint32(0x202, true) !== 0x53726448 || view.getUint16(0x206, true) < 0x0208) {
    throw invalid('it has no setup header of boot protocol 2.08 or later');
  }
  // Zero sectors mean four, for the sake of kernels older than the header.
  const setupSectors = view.getUint8(0x1f1) || 4;
  const start = (setupSectors + 1) * 512 + view.getUint32(0x248, true);
  const end = start + view.getUint32(0x24c, true);
  if (end > bzImage.length || end - start < 8) throw invalid('its payload reaches past its end');
  const payload = bzImage.subarray(start, end);
  if (!beginsWith(payload, lz4LegacyMagic)) return undefined;
  const vmlinux = decompressLz4Legacy(payload.subarray(0, -4), view.getUint32(end - 4, true));
  if (!beginsWith(vmlinux, elfMagic)) throw invalid('its payload is no ELF file');
  return vmlinux;
}

function beginsWith(bytes: Uint8Array, magic: Uint8Array): boolean {
  return magic.every((byte, index) => bytes[index] === byte);
}

function invalid(what: string): TapwardenError {
  return new TapwardenError('IMAGE_BUILD_FAILED', { message: `The kernel package's vmlinuz cannot be used: ${what}` });
}
