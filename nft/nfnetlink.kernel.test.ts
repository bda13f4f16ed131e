import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { start } from '../base/index.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import type { NfnetlinkAnswer, NfnetlinkQuestion } from '../e2e/support/nfnetlink-harness.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { listTable, readCounters } from './nft.ts';

const harness = fileURLToPath(new URL('../e2e/support/nfnetlink-harness.js', import.meta.url));
const name = 'tw_read';

let scratch: ScratchNamespace;
test.before(async () => {
  if (process.geteuid?.() === 0) scratch = await makeScratchNamespace();
});
test.after.always(async () => await scratch?.close());

type Asked = { readonly ask: (question: NfnetlinkQuestion) => Promise<NfnetlinkAnswer> };

/** Starts a reader in the namespace of these tests, until the end of the test. */
function startReader(t: ExecutionContext, before: readonly string[] = [], bufferBytes = 65_536): Asked {
  const argv = [...scratch.enter, ...before, process.execPath, harness, String(bufferBytes)];
  const child = start(argv as unknown as ['node'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const { stdin, stdout } = child.process;
  if (stdin === null || stdout === null) throw new Error('no pipes');
  const waiting: ((answer: NfnetlinkAnswer) => void)[] = [];
  createInterface({ input: stdout }).on('line', (line) => waiting.shift()?.(JSON.parse(line) as NfnetlinkAnswer));
  t.teardown(async () => {
    stdin.end();
    await child.ended;
  });
  return {
    ask: async (question) =>
      await new Promise((resolve) => {
        waiting.push(resolve);
        stdin.write(`${JSON.stringify(question)}\n`);
      }),
  };
}

const load = async (text: string): Promise<void> =>
  void (await scratch.run(['nft', '-f', '/dev/stdin'], { input: text }));

/** A table whose sets packets fill: by destination and port of UDP on loopback, IPv4 and IPv6. */
const table = (size: number): string => `
table inet ${name}
delete table inet ${name}
table inet ${name} {
	counter one { }
	counter stored { }
	counter other { }
	quota allowance { over 1 mbytes }
	set seen4 { type mark . ipv4_addr . inet_proto . inet_service; size ${size}; flags dynamic; counter; }
	set seen6 { type ipv6_addr . inet_service; size 100; flags dynamic; counter; }
	set plain { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.2 }; }
	chain output {
		type filter hook output priority filter; policy accept;
		meta l4proto udp counter name one
		meta nfproto ipv4 meta l4proto udp meta mark set 0x2a add @seen4 { meta mark . ip daddr . meta l4proto . th dport } counter name stored
		meta nfproto ipv6 meta l4proto udp add @seen6 { ip6 daddr . th dport }
		meta l4proto udp drop
	}
}
`;

const sendAll = (address: string, from: number, to: number): readonly ['perl', ...string[]] => [
  'perl',
  '-MSocket=:all',
  '-e',
  `my ($a, $from, $to) = @ARGV; my $six = $a =~ /:/;
   socket(my $s, $six ? AF_INET6 : AF_INET, SOCK_DGRAM, 0) or die;
   my $n = inet_pton($six ? AF_INET6 : AF_INET, $a);
   send($s, 'x', 0, $six ? pack_sockaddr_in6($_, $n) : pack_sockaddr_in($_, $n)) for $from .. $to;`,
  address,
  String(from),
  String(to),
];

/** What nft lists of a set: a line for each element, as {@link NfnetlinkAnswer} has it. */
async function listed(set: string): Promise<ReadonlyMap<string, number>> {
  const objects = await listTable({ run: scratch.run }, { family: 'inet', name });
  const elements = (objects.find((object) => object['set']?.['name'] === set)?.['set']?.['elem'] ?? []) as readonly {
    readonly elem: { readonly val: { readonly concat: readonly unknown[] }; readonly counter: { packets: number } };
  }[];
  return new Map(elements.map(({ elem }) => [elem.val.concat.join(' '), elem.counter.packets]));
}

/** A key of seen4 as nft writes it: `42 127.0.0.1 udp 9`. */
function decoded4(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  return `${bytes.readUInt32LE(0)} ${[...bytes.subarray(4, 8)].join('.')} ${bytes[8] === 17 ? 'udp' : bytes[8]} ${bytes.readUInt16BE(12)}`;
}

kernelTest('NfnetlinkSocket reads counters and elements as nft lists them', async (t) => {
  await load(table(1000));
  await scratch.run(sendAll('127.0.0.1', 1000, 1299));
  await scratch.run(sendAll('127.0.0.1', 1000, 1009));
  await scratch.run(sendAll('::1', 53, 53));
  const reader = startReader(t);
  const counters = (await reader.ask({ ask: 'counters', table: name })).value as Readonly<Record<string, number>>;
  const wanted = await readCounters({ run: scratch.run }, { family: 'inet', name });
  t.deepEqual(counters, Object.fromEntries([...wanted].map(([key, { packets }]) => [key, packets])));
  t.deepEqual(counters, { one: 311, stored: 310, other: 0 });
  const elements = (await reader.ask({ ask: 'elements', table: name, set: 'seen4' })).value as [string, number][];
  t.deepEqual(
    Object.fromEntries(elements.map(([key, packets]) => [decoded4(key), packets])),
    Object.fromEntries(await listed('seen4')),
  );
  t.is(elements.length, 300);
  t.is(elements.find(([key]) => decoded4(key).endsWith(' 1005'))?.[1], 2);
  t.deepEqual((await reader.ask({ ask: 'elements', table: name, set: 'seen6' })).value, [
    [`${'0'.repeat(31)}1${'00350000'}`, 1],
  ]);
  const plain = (await reader.ask({ ask: 'elements', table: name, set: 'plain' })).value as [string, number][];
  t.deepEqual(Object.fromEntries(plain), { c0000201: 0, c0000202: 0 });
});

kernelTest('NfnetlinkSocket reads 60,000 elements whole, and in datagrams of any size', async (t) => {
  await load(table(65_536));
  await scratch.run(sendAll('127.0.0.1', 1, 60_000));
  const reader = startReader(t);
  const small = startReader(t, [], 4096);
  // Under such a flood the kernel finds no memory for some elements; how many it stored, a counter tells.
  const { stored } = (await reader.ask({ ask: 'counters', table: name })).value as { readonly stored: number };
  t.true(stored > 50_000, `${stored} are stored`);
  const { value, ms } = await reader.ask({ ask: 'elements', table: name, set: 'seen4' });
  const elements = value as readonly [string, number][];
  t.log(`${elements.length} elements in ${ms} ms`);
  t.is(elements.length, stored);
  t.true(elements.every(([, packets]) => packets === 1));
  t.is(new Set(elements.map(([key]) => decoded4(key))).size, stored);
  t.is((await small.ask({ ask: 'count', table: name, set: 'seen4' })).value, stored);
});

kernelTest('NfnetlinkSocket asks again when the ruleset changes under a dump, and gets all of it', async (t) => {
  await load(table(65_536));
  await scratch.run(sendAll('127.0.0.1', 1, 20_000));
  // Small datagrams make a long dump, so that changes fall into it.
  const reader = startReader(t, [], 4096);
  const { stored } = (await reader.ask({ ask: 'counters', table: name })).value as { readonly stored: number };
  let interruptions: unknown = 0;
  for (let round = 0; round < 20 && interruptions === 0; round += 1) {
    const disturbed = reader.ask({ ask: 'count', table: name, set: 'seen4' });
    await load(`add counter inet ${name} extra${round}\n`);
    t.is((await disturbed).value, stored);
    interruptions = (await reader.ask({ ask: 'interruptions', table: name })).value;
  }
  t.true(Number(interruptions) > 0, 'a change fell into a dump');
});

kernelTest('NfnetlinkSocket names what is not there, and who may not ask', async (t) => {
  await load(table(16));
  const reader = startReader(t);
  for (const question of [
    { ask: 'handle', table: 'tw_none' },
    { ask: 'counters', table: 'tw_none' },
    { ask: 'elements', table: 'tw_none', set: 'seen4' },
    { ask: 'elements', table: name, set: 'none' },
  ] as const) {
    t.is((await reader.ask(question)).code, 'NFT_NOT_FOUND', JSON.stringify(question));
  }
  // After an error the socket goes on.
  const before = (await reader.ask({ ask: 'handle', table: name })).value;
  t.is(typeof before, 'number');
  await load(`delete table inet ${name}\n`);
  t.is((await reader.ask({ ask: 'handle', table: name })).code, 'NFT_NOT_FOUND');
  await load(table(16));
  t.not((await reader.ask({ ask: 'handle', table: name })).value, before, 'a table made anew has another handle');
  const stranger = startReader(t, [
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    '--bounding-set=-all',
  ]);
  t.is((await stranger.ask({ ask: 'handle', table: name })).code, 'NOT_ROOT');
  t.is((await stranger.ask({ ask: 'elements', table: name, set: 'seen4' })).code, 'NOT_ROOT');
});
