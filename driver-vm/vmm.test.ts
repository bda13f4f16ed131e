import test from 'ava';
import { matchesGolden } from '../e2e/support/golden.ts';
import { confined, qemuArguments, startVmm, type VmmOptions } from './vmm.ts';

const options: VmmOptions = {
  guest: { kernel: '/state/guest/vmlinux', initrd: '/state/guest/initrd', root: '/state/guest/root.ext4' },
  workload: { path: '/state/images/default.ext4' },
  accelerator: 'tcg',
  cpus: 2,
  memoryMiB: 512,
  tscKhz: 2_596_122,
  channelSocket: '/run/tapwarden/a/sockets/channel',
  consoleSocket: '/run/tapwarden/a/sockets/console',
  name: 'a',
};
const user = { uid: 1_900_000_000, gid: 1_900_000_000 };

for (const accelerator of ['tcg', 'kvm'] as const) {
  test(`qemuArguments() under ${accelerator} is the golden, one word a line`, (t) => {
    const words = qemuArguments({ ...options, accelerator });
    matchesGolden(t, `driver-vm/testdata/qemu-${accelerator}.txt`, `${words.join('\n')}\n`);
  });
}

test('qemuArguments() lets QEMU be told what to do where it is asked to, and nowhere else', (t) => {
  const words = qemuArguments({ ...options, controlSocket: '/run/a,b/control' });
  t.deepEqual(words.slice(qemuArguments(options).length), [
    ...['-chardev', 'socket,id=control,path=/run/a,,b/control', '-mon', 'chardev=control,mode=control'],
  ]);
  t.deepEqual(words.slice(0, qemuArguments(options).length), qemuArguments(options));
});

test('qemuArguments() opens both disks read-only, and escapes commas in paths', (t) => {
  const words = qemuArguments({
    ...options,
    guest: { ...options.guest, root: '/a,readonly=off/root.ext4' },
    channelSocket: '/run/a,server=on/channel',
  });
  const drives = words.filter((_, index) => words[index - 1] === '-drive');
  t.deepEqual(drives, [
    'if=none,id=guest,file=/a,,readonly=off/root.ext4,format=raw,readonly=on',
    'if=none,id=workload,file=/state/images/default.ext4,format=raw,readonly=on',
  ]);
  t.true(words.includes('socket,id=channel,path=/run/a,,server=on/channel'));
});

test('confined() takes every privilege away before the program starts', (t) => {
  const words = confined(user, ['tun', 'kvm'], ['qemu', '-x']);
  t.deepEqual(words.slice(3), [
    ...['1900000000', 'tun kvm', 'setpriv', '--reuid=1900000000', '--regid=1900000000', '--clear-groups'],
    ...['--no-new-privs', '--bounding-set=-all', '--inh-caps=-all', '--pdeathsig=KILL', 'qemu', '-x'],
  ]);
});

for (const privileged of [
  { uid: 0, gid: 1000 },
  { uid: 1000, gid: 0 },
  { uid: 0, gid: 0 },
]) {
  test(`confined() and startVmm() refuse user ${privileged.uid} of group ${privileged.gid}`, (t) => {
    t.throws(() => confined(privileged, [], ['true']), { code: 'VMM_PRIVILEGED' });
    t.throws(() => startVmm([], privileged, options), { code: 'VMM_PRIVILEGED' });
  });
}
