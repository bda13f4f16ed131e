import test from 'ava';
import { renderCpio } from './cpio.ts';

test('renderCpio writes aligned records of root and a trailer', (t) => {
  const text = Buffer.from(
    renderCpio([
      { kind: 'directory', path: 'bin', mode: 0o755 },
      { kind: 'file', path: 'bin/sh', mode: 0o755, data: Buffer.from('hello') },
      { kind: 'symlink', path: 'init', target: 'bin/sh' },
    ]),
  ).toString('latin1');
  const header = (inode: string, mode: string, size: string, name: string) =>
    `070701${inode}${mode}${'0'.repeat(16)}00000001${'0'.repeat(8)}${size}${'0'.repeat(32)}${name}${'0'.repeat(8)}`;
  t.is(
    text,
    [
      `${header('00000001', '000041ed', '00000000', '00000004')}bin\0\0\0`,
      `${header('00000002', '000081ed', '00000005', '00000007')}bin/sh\0\0\0\0hello\0\0\0`,
      `${header('00000003', '0000a1ff', '00000006', '00000005')}init\0\0bin/sh\0\0`,
      `${header('00000000', '00000000', '00000000', '0000000b')}TRAILER!!!\0\0\0\0`,
    ].join(''),
  );
});
