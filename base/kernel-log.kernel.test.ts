import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { kernelLogBytes, run } from './index.ts';

kernelTest('kernelLogBytes() is a power of two that holds what the kernel has logged', async (t) => {
  const bytes = await kernelLogBytes();
  t.is(Math.log2(bytes) % 1, 0);
  // The log holds each line with its number and time, so it is larger than the text of its lines, give or take a cut line.
  const { stdout } = await run(['dmesg', '--notime']);
  t.true(bytes >= stdout.length / 2, `${bytes} bytes for ${stdout.length}`);
});
