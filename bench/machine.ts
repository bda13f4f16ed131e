import { cpus, release, totalmem } from 'node:os';
import { messageOf, run } from '../base/index.ts';

/**
 * Says in one line on what machine the figures were measured. Example: `2 × AMD EPYC 7B13, 8 GiB, Linux 6.18.5, Node
 * 20.20.2, QEMU emulator version 7.2.22`.
 */
export async function describeMachine(): Promise<string> {
  const processors = cpus();
  const qemu = await run(['qemu-system-x86_64', '--version']).then(
    ({ stdout }) => stdout.split(/\n| \(/)[0] ?? '',
    (error: unknown) => `no QEMU: ${messageOf(error).split('\n')[0]}`,
  );
  return [
    `${processors.length} × ${processors[0]?.model.trim() ?? 'unknown processor'}`,
    `${Math.round(totalmem() / 1024 ** 3)} GiB`,
    `Linux ${release()}`,
    `Node ${process.versions.node}`,
    qemu,
  ].join(', ');
}
