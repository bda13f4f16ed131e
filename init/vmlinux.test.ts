import test from 'ava';
import { isTapwardenError } from '../base/errors.ts';
import { extractVmlinux } from './vmlinux.ts';

/** A bzImage of one setup sector with `payload` at 16 bytes behind it. */
function bzImage(payload: readonly number[], length = payload.length): Buffer {
  const image = Buffer.alloc(1024 + 16 + payload.length);
  image.writeUInt8(1, 0x1f1);
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt16LE(0x20f, 0x206);
  image.writeUInt32LE(16, 0x248);
  image.writeUInt32LE(length, 0x24c);
  image.set(payload, 1024 + 16);
  return image;
}

const magic = [0x02, 0x21, 0x4c, 0x18];
const elf = [0x7f, 0x45, 0x4c, 0x46, 0x02];

test('extractVmlinux finds and decompresses an LZ4 payload by the setup header', (t) => {
  const vmlinux = extractVmlinux(bzImage([...magic, 6, 0, 0, 0, 0x50, ...elf, 5, 0, 0, 0]));
  t.deepEqual([...(vmlinux ?? [])], elf);
});

test('extractVmlinux leaves another compression to the boot code', (t) => {
  t.is(extractVmlinux(bzImage([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 5, 0, 0, 0])), undefined);
});

const refused: Readonly<Record<string, Buffer>> = {
  'a file that is no bzImage': Buffer.alloc(4096),
  'a file that is too short': Buffer.alloc(10),
  'a payload beyond the end': bzImage([...magic, 0, 0, 0, 0], 100),
  'a payload that is no ELF file': bzImage([...magic, 3, 0, 0, 0, 0x20, 1, 2, 2, 0, 0, 0]),
};
for (const [what, image] of Object.entries(refused)) {
  test(`extractVmlinux refuses ${what}`, (t) => {
    const error = t.throws(() => extractVmlinux(image));
    t.true(isTapwardenError(error, 'IMAGE_BUILD_FAILED'), String(error));
  });
}
