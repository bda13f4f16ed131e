import { fileURLToPath } from 'node:url';
import test from 'ava';
import { start } from '../../base/index.ts';
import { isCase } from '../../e2e/support/attribution-cases.ts';
import { type AttributionWorld, makeAttributionWorld, type Told } from '../../e2e/support/attribution-world.ts';
import { kernelTest } from '../../e2e/support/kernel-tier.ts';

let world: AttributionWorld;
test.before(async () => {
  if (process.geteuid?.() === 0) world = await makeAttributionWorld({ audit: false });
});
test.after.always(async () => await world?.close());

const script = fileURLToPath(new URL('../../../supervisor/testdata/attempt.pl', import.meta.url));
const perl = '/usr/bin/perl';
const target = '198.51.100.9';
const attempt = (...args: readonly (string | number)[]): readonly [string, ...string[]] => [
  perl,
  script,
  ...args.map(String),
];

async function toldOf(wanted: number): Promise<Told | undefined> {
  return (await world.settle()).find(({ fact }) => fact.destinationPort === wanted);
}

kernelTest(
  'without audit: a datagram of a process that lives on is its own, by the socket, confidence medium',
  async (t) => {
    // It sends when it is known what it executes: of one that sends at once a busy machine may read that too late to be sure of it.
    const program = `use Socket; $| = 1; print "up\\n"; <STDIN>; socket(my $s, AF_INET, SOCK_DGRAM, 0);
      send($s, 'x', 0, pack_sockaddr_in(5001, inet_aton('${target}'))); print "sent\\n"; <STDIN>`;
    const child = world.start(1, [perl, '-e', program]);
    const said = async () => await new Promise((resolve) => child.process.stdout?.once('data', resolve));
    await said();
    await world.settle();
    child.process.stdin?.write('\n');
    await said();
    const one = await toldOf(5001);
    child.process.stdin?.end();
    await child.ended;
    isCase(t, one?.origin, 'open');
    t.is(one?.origin.process?.pid, child.process.pid);
    t.is(one?.origin.process?.binary, perl);
    t.deepEqual(one?.origin.process?.arguments, [perl, '-e', program]);
  },
);

kernelTest('without audit: a connection whose port the program bound is found, although it was refused', async (t) => {
  const child = world.start(1, attempt('tcp', target, 5002, 23_000, 'stay'));
  await new Promise((resolve) => child.process.stdout?.once('data', resolve));
  const one = await toldOf(5002);
  child.process.stdin?.end();
  await child.ended;
  if (one?.origin.method === 'exec') t.log('this kernel does not list sockets that are bound and no more');
  else t.is(one?.origin.process?.pid, child.process.pid);
});

kernelTest('without audit: of a process that is gone the exec is known, and no process is named', async (t) => {
  for (const [kind, port] of [
    ['tcp', 5003],
    ['tcp-nonblocking', 5004],
  ] as const) {
    await world.run(2, attempt(kind, target, port));
    const one = await toldOf(port);
    isCase(t, one?.origin, 'gone');
    t.is(one?.origin.exec, 2);
    t.is(one?.origin.process, null);
  }
});

kernelTest('without audit: several holders of one socket are all named, and none as the sender', async (t) => {
  const program = `use Socket; socket(my $s, AF_INET, SOCK_DGRAM, 0); my $child = fork;
    if (!$child) { sleep 100; exit } send($s, 'x', 0, pack_sockaddr_in(5005, inet_aton('${target}')));
    $| = 1; print "$$ $child\\n"; <STDIN>; kill 'KILL', $child; wait`;
  const child = world.start(1, [perl, '-e', program]);
  const pids = await new Promise<string>((resolve) =>
    child.process.stdout?.once('data', (data) => resolve(String(data))),
  );
  const one = await toldOf(5005);
  child.process.stdin?.end();
  await child.ended;
  t.is(one?.origin.process, null);
  isCase(t, one?.origin, 'shared');
  t.deepEqual(
    one?.origin.candidates.map(({ pid }) => pid).sort((a, b) => a - b),
    pids
      .split(' ')
      .map(Number)
      .sort((a, b) => a - b),
  );
});

kernelTest('without audit: a process that executes another program afterwards is not taken for that', async (t) => {
  // Without the flag that closes it, the socket stays open in the other program.
  const program = `use Socket; $^F = 100; socket(my $s, AF_INET, SOCK_DGRAM, 0);
    send($s, 'x', 0, pack_sockaddr_in(5006, inet_aton('${target}'))); exec '/bin/sleep', '100'`;
  const child = world.start(1, [perl, '-e', program]);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const one = await toldOf(5006);
  child.process.kill('SIGKILL');
  await child.ended;
  t.is(one?.origin.process?.pid, child.process.pid);
  t.true(
    one?.origin.process?.binary === perl || one?.origin.process?.binary === null,
    String(one?.origin.process?.binary),
  );
});

kernelTest('without audit: an echo request is found by the table in /proc, confidence low', async (t) => {
  await world.scratch.run(['sh', '-c', 'echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range']);
  const child = world.start(3, attempt('ping', '198.51.100.10', 0, 0, 'stay'));
  await new Promise((resolve) => child.process.stdout?.once('data', resolve));
  const one = (await world.settle()).find(({ fact }) => fact.destination === '198.51.100.10');
  child.process.stdin?.end();
  await child.ended;
  isCase(t, one?.origin, 'openEcho');
  t.is(one?.origin.process?.pid, child.process.pid);
});

kernelTest('without audit and mark: the user is what is known', async (t) => {
  const child = start(
    [
      'nsenter',
      `--target=${world.scratch.pid}`,
      '--net',
      '--',
      'setpriv',
      '--reuid=71009',
      '--clear-groups',
      ...attempt('tcp', target, 5007),
    ],
    { stdio: 'ignore' },
  );
  await child.ended;
  const one = await toldOf(5007);
  isCase(t, one?.origin, 'unmarked');
  t.is(one?.origin.exec, null);
  t.is(one?.fact.uid, 71_009);
});
