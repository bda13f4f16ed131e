import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../base/index.ts';
import { jailTest } from '../support/jail-test.ts';

jailTest('jail: --image shows an image instead of the host, and the home in it is the workload’s', async (t, bench) => {
  const tree = join(bench.folder, 'tree');
  const image = join(bench.folder, 'tiny.ext4');
  for (const folder of ['bin', 'etc', 'home/workload', 'tmp']) await mkdir(join(tree, folder), { recursive: true });
  await copyFile('/bin/busybox', join(tree, 'bin/sh'));
  await writeFile(join(tree, 'home/workload/given'), 'given\n');
  await run(['chown', '-R', '1000:1000', join(tree, 'home/workload')]);
  await run(['mkfs.ext4', '-q', '-d', tree, image, '16M']);
  const script = 'echo /*; cat ~/given; echo mine >~/given && cat ~/given; cat /etc/resolv.conf';
  const { status, stdout, stderr, events } = await bench.run(['--image', image, '--', 'sh', '-c', script]);
  t.is(status, 0, stderr);
  t.is(
    stdout.toString('utf8'),
    '/bin /dev /etc /home /lost+found /proc /run /sys /tmp\ngiven\nmine\nnameserver 10.200.0.1\n',
  );
  t.like(events[0], { unmapped: { image: { uid: image } } });
  // The image is as it was, and no loop device holds it.
  const again = await bench.run(['--image', image, '--', 'sh', '-c', 'cat ~/given']);
  t.is(again.stdout.toString('utf8'), 'given\n');
  t.is((await run(['losetup', '--associated', image])).stdout, '');
});
