import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { dir } from 'tmp-promise';
import { type CommandLookup, findCommand, resolveIn } from './workload-path.ts';

let root = '';
test.before(async () => {
  root = (await dir({ prefix: 'tapwarden-root-' })).path;
  for (const folder of ['usr/bin', 'opt/tools', 'home/me/sub', 'etc'])
    await mkdir(join(root, folder), { recursive: true });
  const file = async (path: string, mode: number, text = '\x7fELF'): Promise<void> => {
    await writeFile(join(root, path), text);
    await chmod(join(root, path), mode);
  };
  await file('usr/bin/tool', 0o755);
  await file('usr/bin/private', 0o700);
  await file('usr/bin/plain', 0o644);
  await file('usr/bin/both', 0o644);
  await file('opt/tools/both', 0o755);
  await file('opt/tools/deep', 0o755);
  await file('usr/bin/script', 0o755, '#! /usr/bin/tool -x\necho\n');
  await file('usr/bin/orphan', 0o755, '#!/usr/bin/no-such-interpreter\n');
  await file('usr/bin/crlf', 0o755, '#!/usr/bin/tool\r\n');
  await file('home/me/run.sh', 0o755, '#!/bin/tool\n');
  await symlink('usr/bin', join(root, 'bin'));
  await symlink('/usr/bin/tool', join(root, 'usr/bin/absolute'));
  await symlink('../../../../../../../../etc', join(root, 'opt/up'));
  await symlink('/opt/tools', join(root, 'home/me/tools'));
  await symlink('/etc/passwd', join(root, 'usr/bin/outside'));
  await symlink('b', join(root, 'opt/a'));
  await symlink('a', join(root, 'opt/b'));
  await symlink('/', join(root, 'opt/root'));
});
test.after.always(async () => await rm(root, { recursive: true, force: true }));

const resolved: Readonly<Record<string, string | undefined>> = {
  '/': '',
  '/usr/bin/tool': 'usr/bin/tool',
  'usr//bin/./tool': 'usr/bin/tool',
  '/bin/tool': 'usr/bin/tool',
  '/usr/bin/absolute': 'usr/bin/tool',
  '/../../usr/bin/tool': 'usr/bin/tool',
  '/opt/up': 'etc',
  '/opt/root/opt/root/usr': 'usr',
  // Where a link leads, and not where it stands, is what `..` goes up from.
  '/home/me/tools/..': 'opt',
  '/opt/a': undefined,
  '/usr/bin/outside': undefined,
  '/no/such/path': undefined,
  '/usr/bin/tool/below': undefined,
};
for (const [path, wanted] of Object.entries(resolved)) {
  test(`resolveIn() leads ${path} to ${wanted ?? 'nothing'}`, async (t) => {
    t.is(await resolveIn(root, path), wanted === undefined ? undefined : join(root, wanted));
  });
}

test('resolveIn() gives up on more than 40 links', async (t) => {
  for (let i = 0; i < 45; i += 1) await symlink(i === 0 ? '/etc' : `chain${i - 1}`, join(root, `chain${i}`));
  t.is(await resolveIn(root, '/chain39'), join(root, 'etc'));
  t.is(await resolveIn(root, '/chain40'), undefined);
});

const options = { searchPath: '/usr/bin:/opt/tools', workdir: '/home/me', uid: 4321 };
const lookups: Readonly<Record<string, readonly [CommandLookup['kind'], string]>> = {
  tool: ['found', '/usr/bin/tool'],
  deep: ['found', '/opt/tools/deep'],
  both: ['found', '/opt/tools/both'],
  '/bin/tool': ['found', '/bin/tool'],
  './run.sh': ['found', '/home/me/./run.sh'],
  'tools/../tools/deep': ['found', '/home/me/tools/../tools/deep'],
  script: ['found', '/usr/bin/script'],
  absolute: ['found', '/usr/bin/absolute'],
  'no-such-command': ['not-found', 'not found in PATH (/usr/bin:/opt/tools)'],
  '/no/such': ['not-found', 'no such file in the image'],
  './no-such': ['not-found', 'no such file in the image'],
  outside: ['not-found', 'not found in PATH (/usr/bin:/opt/tools)'],
  plain: ['not-executable', 'it has no execute permission'],
  private: ['not-executable', 'it has no execute permission'],
  '/usr/bin': ['not-executable', 'it is a directory'],
  orphan: ['not-executable', 'its interpreter /usr/bin/no-such-interpreter is not in the image'],
  crlf: ['not-executable', 'its interpreter /usr/bin/tool\r is not in the image'],
};
for (const [command, [kind, said]] of Object.entries(lookups)) {
  test(`findCommand() of ${command} is ${kind}`, async (t) => {
    const lookup = await findCommand(root, command, options);
    t.is(lookup.kind, kind);
    t.is(lookup.kind === 'found' ? lookup.path : lookup.reason, said);
  });
}

test('findCommand() takes the file where the kernel would find it, behind a link and up again', async (t) => {
  // Lexically this is /home/me/usr/bin/tool, which is not there; the kernel goes up from /opt.
  t.is((await findCommand(root, 'tools/../../usr/bin/tool', options)).kind, 'found');
});

test('findCommand() looks in the working directory where PATH has an empty part', async (t) => {
  t.deepEqual(await findCommand(root, 'run.sh', { ...options, searchPath: '/usr/bin:' }), {
    kind: 'found',
    path: '/home/me/./run.sh',
  });
  t.is((await findCommand(root, 'run.sh', options)).kind, 'not-found');
});

test('findCommand() looks at the bit of the owner for a file of the user', async (t) => {
  const uid = process.getuid?.() ?? 0;
  t.is((await findCommand(root, 'private', { ...options, uid })).kind, 'found');
});
