import test from 'ava';
import { TapwardenError } from '../../base/index.ts';
import { programPackages } from '../../init/index.ts';
import { type Features, probes } from '../../nft/index.ts';
import { isReady, missing, ok, renderFindings, warn } from './finding.ts';
import {
  type FoundProgram,
  judgeAccelerator,
  judgeDisk,
  judgeFailure,
  judgeFeatures,
  judgeLeftovers,
  judgeMemory,
  judgeNode,
  judgePrograms,
  judgeQemu,
  judgeUser,
} from './judge.ts';

test('judgeUser: only root will do', (t) => {
  t.is(judgeUser(0).level, 'ok');
  t.is(judgeUser(1000).level, 'missing');
  t.is(judgeUser(undefined).level, 'missing');
});

const node = test.macro((t, version: string, level: 'ok' | 'missing') => {
  t.is(judgeNode(version, '>=20.20', 'linux x64')[0]?.level, level);
});
test('judgeNode: the oldest that fits', node, '20.20.0', 'ok');
test('judgeNode: an older minor version', node, '20.19.9', 'missing');
test('judgeNode: an older major version with a higher minor', node, '18.99.0', 'missing');
test('judgeNode: a newer major version with a lower minor', node, '26.1.0', 'ok');
test('judgeNode: another machine', (t) => {
  t.deepEqual(
    judgeNode('24.0.0', '>=20.20', 'linux arm64').map(({ level }) => level),
    ['ok', 'missing'],
  );
});

const programs = (...lacking: readonly string[]): readonly FoundProgram[] =>
  (Object.keys(programPackages) as (keyof typeof programPackages)[]).map((name) => ({
    name,
    path: lacking.includes(name) ? undefined : `/usr/bin/${name}`,
  }));

test('judgePrograms: one line when all are there, else the package of each that is not', (t) => {
  t.deepEqual(
    judgePrograms(programs(), false).map(({ level }) => level),
    ['ok'],
  );
  const [nft, mkfs] = judgePrograms(programs('nft', 'mkfs.ext4'), false);
  t.deepEqual(nft, missing('nft', 'not installed', 'Install it: apt-get install nftables'));
  t.is(mkfs?.level, 'missing');
});

test('judgePrograms: what only builds images is not needed when these are built', (t) => {
  const levels = judgePrograms(programs('mmdebstrap', 'bwrap'), true).map(({ what, level }) => `${what} ${level}`);
  t.deepEqual(levels, ['bwrap missing', 'mmdebstrap warn']);
});

test('judgeQemu: without the microvm machine it is of no use', (t) => {
  const version = 'QEMU emulator version 7.2.22 (Debian 1:7.2)\nCopyright (c) …\n';
  const qemu = judgeQemu(version, 'Supported machines are:\nmicrovm              microvm (i386)\npc  …\n');
  t.deepEqual(qemu, ok('qemu', 'QEMU emulator version 7.2.22 (Debian 1:7.2)'));
  t.is(judgeQemu(version, 'Supported machines are:\npc  with no microvm\n').level, 'missing');
});

test('judgeFeatures: what the slot needs is missing, what direct rules or the guest need is a warning', (t) => {
  const all = Object.fromEntries(Object.keys(probes).map((name) => [name, true])) as Features;
  t.true(judgeFeatures(all).every(({ level }) => level === 'ok'));
  const level = (name: keyof Features) =>
    judgeFeatures({ ...all, [name]: false }).find(({ what }) => what === `nft ${name}`)?.level;
  t.is(level('counter'), 'missing');
  t.is(level('filter'), 'missing');
  t.is(level('masquerade'), 'warn');
  t.is(level('log'), 'warn');
});

test('judgeAccelerator: emulation is to know of, and no obstacle', (t) => {
  t.is(judgeAccelerator({ accelerator: 'kvm', reason: 'a guest booted under KVM in 310 ms' }).level, 'ok');
  const tcg = judgeAccelerator({ accelerator: 'tcg', reason: 'the host has no /dev/kvm' });
  t.is(tcg.level, 'warn');
  t.is(tcg.found, 'guests are emulated: the host has no /dev/kvm');
});

test('judgeDisk: too little space is missing', (t) => {
  const GiB = 1024 ** 3;
  t.deepEqual(judgeDisk('/var', 3 * GiB, 2 * GiB), ok('disk', '3.0 GiB free at /var'));
  t.is(judgeDisk('/var', 2 * GiB - 1, 2 * GiB).level, 'missing');
});

test('judgeMemory: less than a guest has by default is a warning', (t) => {
  t.is(judgeMemory('MemTotal:  4000000 kB\nMemAvailable:    3000000 kB\n').level, 'ok');
  t.is(judgeMemory('MemTotal:  4000000 kB\nMemAvailable:     500000 kB\n').level, 'warn');
  t.is(judgeMemory('').level, 'warn');
});

test('judgeLeftovers: what killed sandboxes left is named, with the command that takes it away', (t) => {
  t.is(judgeLeftovers(['a'], []).level, 'ok');
  const left = judgeLeftovers([], ['x1', 'x2']);
  t.is(left.level, 'warn');
  t.regex(left.found, /x1, x2/);
  t.regex(left.todo ?? '', /tapwarden gc/);
});

test('judgeFailure: an error becomes what was found, and its hint what to do', (t) => {
  const error = new TapwardenError('NFT_MISSING', {
    message: 'There is no nft',
    hint: 'Install the package nftables.',
  });
  t.deepEqual(judgeFailure('nft', error), missing('nft', 'There is no nft', 'Install the package nftables.'));
  t.is(judgeFailure('nft', new Error('first\nsecond')).found, 'first');
});

test('renderFindings: columns, what to do below, and a sum that names what is missing', (t) => {
  const findings = [ok('root', 'running as root'), missing('qemu', 'not installed', 'Install it')];
  t.is(
    renderFindings(findings),
    [
      'ok       root  running as root',
      'missing  qemu  not installed',
      '               > Install it',
      '',
      'Sandboxes cannot run here. Missing: qemu.',
      '',
    ].join('\n'),
  );
  t.false(isReady(findings));
  t.true(isReady([ok('a', 'b'), warn('c', 'd')]));
  t.regex(renderFindings([ok('a', 'b'), warn('c', 'd')]), /\nSandboxes can run here\. 1 of 2 findings to know of\.\n$/);
});
