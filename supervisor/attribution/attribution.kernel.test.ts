import test from 'ava';
import { type AttributionWorld, makeAttributionWorld } from '../../e2e/support/attribution-world.ts';
import { kernelTest } from '../../e2e/support/kernel-tier.ts';

let world: AttributionWorld;
test.before(async () => {
  if (process.geteuid?.() === 0) world = await makeAttributionWorld();
});
test.after.always(async () => await world?.close());

const connect = (address: string, port: number): readonly ['perl', ...string[]] => [
  'perl',
  '-MSocket=:all',
  '-e',
  'my ($a, $p) = @ARGV; socket(my $s, AF_INET, SOCK_STREAM, 0); connect($s, pack_sockaddr_in($p, inet_aton($a)))',
  address,
  String(port),
];

kernelTest('a refused connection of a process that is gone has its pid and program', async (t) => {
  const { pid } = await world.run(1, connect('198.51.100.1', 4444));
  const [one] = await world.settle();
  t.log(JSON.stringify(one, null, 1));
  t.is(one?.origin.method, 'audit');
  t.is(one?.origin.process?.pid, pid);
  t.is(one?.origin.process?.binary, '/usr/bin/perl');
});
