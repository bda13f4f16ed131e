import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../base/index.ts';
import { vmTest } from '../support/vm-test.ts';

/** A wrong command line or environment: what it ends with, before any guest is booted. */
type Case = {
  readonly title: string;
  /** The words after `tapwarden`. `{}` stands for the test's folder. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Files of the test's folder, by name. */
  readonly files?: Readonly<Record<string, string>>;
  readonly before?: readonly string[];
  readonly code: string;
  readonly says: RegExp;
};

/** As nobody, and still able to read a checkout wherever it lies. */
const asNobody = [
  ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
  ...['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'],
];

const usage: readonly Case[] = (
  [
    ['an unknown command', ['frobnicate'], /There is no command 'frobnicate'/],
    ['a command with control characters', ['\u001b[31mred'], /There is no command '\\x1b\[31mred'/],
    ['an unknown option', ['run', '--frobnicate', '--', 'true'], /Unknown option '--frobnicate'/],
    ['no command to run', ['run'], /there is no command: it stands behind '--'/],
    ['a command without --', ['run', 'true'], /Unexpected argument 'true'/],
    ['an option without its value', ['run', '--cpus', '--', 'true'], /--cpus/],
    ['no processors', ['run', '--cpus', '0', '--', 'true'], /--cpus takes a whole number .* not '0'/],
    ['too little memory', ['run', '--memory', '8', '--', 'true'], /--memory takes a whole number .* not '8'/],
    ['a timeout that is no number', ['run', '--timeout', '1s', '--', 'true'], /--timeout takes .* not '1s'/],
    ['an event log of no size', ['run', '--events-max-size', '0', '--', 'true'], /--events-max-size takes .* not '0'/],
    ['events kept for ever', ['run', '--events-keep', 'all', '--', 'true'], /--events-keep takes .* not 'all'/],
    ['an unknown policy of fsync', ['run', '--fsync', 'often', '--', 'true'], /--fsync takes 'always', .* not 'often'/],
    ['a variable without a name', ['run', '--env', '=b', '--', 'true'], /--env takes NAME=VALUE or NAME, not '=b'/],
    ['a variable that is not set', ['run', '--env', 'NOT_SET_HERE', '--', 'true'], /this shell has no such variable/],
    ['a relative directory', ['run', '--workdir', 'here', '--', 'true'], /--workdir takes an absolute path/],
    ['an address without a port', ['run', '--allow', 'upstream.test', '--', 'true'], /upstream\.test/],
    ['an address with a scheme', ['run', '--allow', 'https://upstream.test:443', '--', 'true'], /https:/],
  ] as const
).map(([title, args, says]) => ({ title, args, says, code: 'USAGE_INVALID' }));

const cases: readonly Case[] = [
  ...usage,
  {
    title: 'an id with a capital',
    args: ['run', '--id', 'Sandbox', '--', 'true'],
    code: 'NAME_INVALID',
    says: /A sandbox id is .*"Sandbox"/,
  },
  {
    title: 'an id that is too long',
    args: ['run', '--id', 'a'.repeat(33), '--', 'true'],
    code: 'NAME_INVALID',
    says: /1 to 32 characters/,
  },
  {
    title: 'a relative run directory',
    args: ['run', '--', 'true'],
    env: { TAPWARDEN_RUN_DIR: 'run' },
    code: 'USAGE_INVALID',
    says: /TAPWARDEN_RUN_DIR must be an absolute path/,
  },
  {
    title: 'a run directory that leaves no room for socket names',
    args: ['run', '--', 'true'],
    env: { TAPWARDEN_RUN_DIR: `/run/${'a'.repeat(44)}` },
    code: 'USAGE_INVALID',
    says: /at most 48 bytes/,
  },
  {
    title: 'a policy that is not there',
    args: ['run', '--policy', '{}/none.yaml', '--', 'true'],
    code: 'POLICY_UNREADABLE',
    says: /Cannot read the policy .*none\.yaml: ENOENT/,
  },
  {
    title: 'a policy with mistakes',
    args: ['run', '--policy', '{}/bad.yaml', '--', 'true'],
    files: {
      'bad.yaml': 'version: 1\nrules:\n  - name: web\n    hosts: [https://upstream.test]\n    ports: [99999]\n',
    },
    code: 'POLICY_INVALID',
    says: /bad\.yaml:4:13: rules\[0\]\.hosts\[0\]: .* has a scheme\n(.*\n)*.*bad\.yaml:5:13: rules\[0\]\.ports\[0\]: /,
  },
  {
    title: 'an image that is not there',
    args: ['run', '--image', 'none', '--', 'true'],
    code: 'IMAGE_NOT_FOUND',
    says: /none/,
  },
  {
    title: 'a guest that is not there',
    args: ['run', '--', 'true'],
    env: { TAPWARDEN_GUEST_DIR: '/none' },
    code: 'IMAGE_NOT_FOUND',
    says: /The guest in \/none has no readable (vmlinux|initrd|root\.ext4)/,
  },
  {
    title: 'an event log in a place that cannot be written',
    args: ['run', '--events', '/proc/none/events.jsonl', '--', 'true'],
    code: 'EVENTS_UNWRITABLE',
    says: /\/proc\/none\/events\.jsonl/,
  },
  {
    title: 'an event log that is a directory',
    args: ['run', '--events', '{}', '--', 'true'],
    code: 'EVENTS_UNWRITABLE',
    says: /EISDIR|directory/,
  },
  {
    title: 'a user who is not root',
    args: ['run', '--', 'true'],
    before: asNobody,
    code: 'NOT_ROOT',
    says: /Use sudo/,
  },
  { title: 'gc by a user who is not root', args: ['gc'], before: asNobody, code: 'NOT_ROOT', says: /Use sudo/ },
];

for (const { title, args, env, files, before, code, says } of cases) {
  vmTest(`tapwarden: ${title} is ${code}, in one error, and nothing is left`, async (t, bench) => {
    for (const [name, text] of Object.entries(files ?? {})) await writeFile(join(bench.folder, name), text);
    const { status, stdout, stderr } = await bench.tapwarden(
      args.map((word) => word.replace('{}', bench.folder)),
      { ...(env === undefined ? {} : { env }), ...(before === undefined ? {} : { before }), timeoutMs: 30_000 },
    );
    t.is(status, 125, stderr);
    t.is(stdout.toString('utf8'), '');
    t.true(stderr.startsWith(`tapwarden: ${code}: `), stderr);
    t.is(stderr.match(/^tapwarden: /gm)?.length, 1, `one error:\n${stderr}`);
    t.regex(stderr, says);
  });
}

vmTest('run: an id or an event log that is in use is refused, and the run that has it goes on', async (t, bench) => {
  const log = join(bench.folder, 'log.jsonl');
  const first = bench.start(['--events', log, '--', 'sh', '-c', 'echo ready; cat']);
  while (first.output() !== 'ready\n') await sleep(50);
  const sameId = await bench.tapwarden(['run', '--id', first.id, '--events', `${log}.2`, '--', 'true']);
  t.is(sameId.status, 125);
  t.regex(sameId.stderr, /^tapwarden: SANDBOX_EXISTS: The sandbox .* exists already\n {2}/);
  const sameLog = await bench.tapwarden(['run', '--events', log, '--', 'true']);
  t.is(sameLog.status, 125);
  t.regex(sameLog.stderr, /^tapwarden: EVENTS_UNWRITABLE: The event log .* is in use by another run\n {2}/);
  first.stdin.end('still here');
  const { status, stdout } = await first.ended;
  t.is(status, 0);
  t.is(stdout.toString('utf8'), 'ready\nstill here');
});

vmTest('run: a network namespace of somebody else that has the name is left as it is', async (t, bench) => {
  const id = bench.newId();
  await run(['ip', 'netns', 'add', `tw-${id}`]);
  try {
    const { status, stderr } = await bench.run(['--id', id, '--', 'true']);
    t.is(status, 125);
    t.regex(stderr, /^tapwarden: SANDBOX_EXISTS: The network namespace /);
    t.true((await run(['ip', 'netns', 'list'])).stdout.includes(`tw-${id}`));
  } finally {
    await run(['ip', 'netns', 'del', `tw-${id}`]);
  }
});
