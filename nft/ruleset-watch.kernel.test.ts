import test, { type ExecutionContext } from 'ava';
import { inNetworkNamespace } from '../base/index.ts';
import { kernelTest } from '../e2e/support/kernel-tier.ts';
import { makeScratchNamespace, type ScratchNamespace } from '../e2e/support/scratch-namespace.ts';
import { comesTrue, until } from '../e2e/support/until.ts';
import { NfnetlinkSocket } from './nfnetlink-socket.ts';
import { type RulesetChange, RulesetChanges, RulesetWatch } from './ruleset-watch.ts';

let scratch: ScratchNamespace;
test.beforeEach(async () => {
  if (process.geteuid?.() === 0) scratch = await makeScratchNamespace();
});
test.afterEach.always(async () => await scratch?.close());

const table = `
table inet tw_watched
delete table inet tw_watched
table inet tw_watched {
	counter refused { }
	set seen { type ipv4_addr; size 100; flags dynamic; counter; }
	set sticky { type ipv4_addr; elements = { 192.0.2.1 }; }
	map marks { type ipv4_addr : mark; elements = { 192.0.2.1 : 1 }; }
	chain direct {
		ip daddr { 192.0.2.1, 192.0.2.2 } tcp dport 443 counter accept comment "direct"
	}
	chain output {
		type filter hook output priority filter; policy drop;
		oifname "lo" accept comment "loopback"
		jump direct comment "direct"
		meta nfproto ipv4 update @seen { ip daddr } comment "seen"
		jump refuse comment "refused"
	}
	chain refuse {
		log prefix "tw " limit rate 5/second comment "told"
		counter name refused reject comment "all else"
	}
}
`;

const watchedTable = { family: 'inet', name: 'tw_watched' } as const;

const nft = async (text: string): Promise<void> => {
  await scratch.run(['nft', '-f', '/dev/stdin'], { input: text });
};
/** Without the elements that packets make. */
const listed = async (): Promise<string> =>
  (await scratch.run(['nft', '-s', 'list', 'ruleset'])).stdout.replace(/(set seen \{[^}]*)elements = \{[^}]*\}/, '$1');

/** The parts of that table in an order of their own: they stand in the one in which they were made. */
const partsOf = (text: string): readonly string[] =>
  text
    .replace(/^table .*\{$|^\}$/gm, '')
    .split('\n\n')
    .map((part) => part.replaceAll(/\s+/g, ' ').trim())
    .toSorted();

/** A watch over the table above, and what it told. */
async function watching(
  t: ExecutionContext,
): Promise<{ watch: RulesetWatch; changes: RulesetChange[]; before: string }> {
  await nft(table);
  const changes: RulesetChange[] = [];
  const path = `/proc/${scratch.pid}/ns/net`;
  const opened = await inNetworkNamespace(path, () => ({
    socket: new NfnetlinkSocket(),
    changes: new RulesetChanges(),
  }));
  const watch = await RulesetWatch.open({
    ...opened,
    onChange: (change) => changes.push(change),
    intervalMs: 60_000,
  });
  t.teardown(() => watch.close());
  return { watch, changes, before: await listed() };
}

async function tamper(t: ExecutionContext, commands: string, wanted: readonly RegExp[]): Promise<void> {
  const { changes, before } = await watching(t);
  const begun = Date.now();
  await nft(commands);
  await until(() => changes.length > 0);
  const took = Date.now() - begun;
  t.true(took < 1000, `the ruleset was back after ${took} ms`);
  t.is(await listed(), before);
  const [change] = changes;
  const told = change?.difference.join('; ');
  t.is(typeof change?.restoredMs, 'number', told);
  for (const pattern of wanted) {
    t.true(
      change?.difference.some((line) => pattern.test(line)),
      `${pattern}: ${told}`,
    );
  }
  t.is(change?.differences, change?.difference.length);
  // Loading it again is a transaction too, and no change.
  t.is(changes.length, 1);
}

const cases: Readonly<Record<string, readonly [commands: string, wanted: readonly RegExp[]]>> = {
  'an inserted accept': [
    'insert rule inet tw_watched output accept',
    [/^\+ rule inet tw_watched output \(no comment\)$/],
  ],
  'a rule with the comment of another': [
    'insert rule inet tw_watched output accept comment "loopback"',
    [/^\+ rule inet tw_watched output "loopback"$/],
  ],
  'a flushed chain': [
    'flush chain inet tw_watched refuse',
    [/^- rule .* refuse "told"$/, /^- rule .* refuse "all else"$/],
  ],
  'a flushed ruleset': ['flush ruleset', [/^- table inet tw_watched$/, /^- chain inet tw_watched output$/, /^- rule /]],
  'a deleted table': ['delete table inet tw_watched', [/^- table inet tw_watched$/]],
  'a policy of accept': [
    'chain inet tw_watched output { policy accept; }',
    [/^- chain inet tw_watched output$/, /^\+ chain/],
  ],
  'a dormant table': ['table inet tw_watched { flags dormant; }', [/^- table inet tw_watched$/, /^\+ table/]],
  'rules in another order': [
    'flush chain inet tw_watched refuse\nadd rule inet tw_watched refuse counter name refused reject comment "all else"\nadd rule inet tw_watched refuse log prefix "tw " limit rate 5/second comment "told"',
    [/^~ rule inet tw_watched refuse/],
  ],
  'an address that is added to a set': [
    'add element inet tw_watched sticky { 192.0.2.7 }',
    [/^\+ element inet tw_watched sticky 0xc0000207$/],
  ],
  'an address that is taken out of a set': [
    'delete element inet tw_watched sticky { 192.0.2.1 }',
    [/^- element inet tw_watched sticky 0xc0000201$/],
  ],
  'an element that leads elsewhere': [
    'delete element inet tw_watched marks { 192.0.2.1 : 1 }\nadd element inet tw_watched marks { 192.0.2.1 : 2 }',
    [/^- element inet tw_watched marks 0xc0000201$/, /^\+ element inet tw_watched marks 0xc0000201$/],
  ],
  'other addresses in the place of those of a rule': [
    // The kernel gives the set without a name the name of the one before.
    'flush chain inet tw_watched direct\nadd rule inet tw_watched direct ip daddr { 192.0.2.1, 192.0.2.9 } tcp dport 443 counter accept comment "direct"',
    [/^- element inet tw_watched __set0 0xc0000202$/, /^\+ element inet tw_watched __set0 0xc0000209$/],
  ],
  'a table beside it': [
    'table ip foreign { chain c { type nat hook output priority -100; ip daddr 192.0.2.9 dnat to 127.0.0.1; }; }',
    [/^\+ table ip foreign$/, /^\+ chain ip foreign c$/, /^\+ rule ip foreign c \(no comment\)$/],
  ],
};
for (const [name, [commands, wanted]] of Object.entries(cases)) {
  kernelTest(`RulesetWatch: ${name} is told of and put right`, async (t) => await tamper(t, commands, wanted));
}

kernelTest('RulesetWatch: packets, elements that come and go, and the same ruleset anew are no change', async (t) => {
  const { watch, changes } = await watching(t);
  await scratch.run([
    'sh',
    '-c',
    'ip route add default dev lo; for i in 1 2 3; do ping -c1 -W1 192.0.2.$i; done; true',
  ]);
  await nft('add element inet tw_watched seen { 198.51.100.7 }');
  await nft(table);
  await watch.settle();
  t.deepEqual(changes, []);
});

kernelTest('RulesetWatch: an element that we add ourselves is no change, and is missed when it is gone', async (t) => {
  const { watch, changes } = await watching(t);
  await watch.add(watchedTable, 'sticky', [{ key: Buffer.from([192, 0, 2, 7]) }]);
  await watch.settle();
  t.deepEqual(changes, []);
  await nft('delete element inet tw_watched sticky { 192.0.2.7 }');
  await until(() => changes.length > 0);
  t.is(changes[0]?.difference[0], '- element inet tw_watched sticky 0xc0000207');
});

kernelTest('RulesetWatch: an element that somebody else adds beside ours is told of', async (t) => {
  const { watch, changes } = await watching(t);
  const adding = watch.add(watchedTable, 'sticky', [{ key: Buffer.from([192, 0, 2, 7]) }]);
  await nft('add element inet tw_watched sticky { 192.0.2.8 }\nadd element inet tw_watched marks { 192.0.2.7 : 7 }');
  await adding;
  await until(() => changes.length > 0);
  const told = changes.flatMap(({ difference }) => difference);
  for (const line of ['+ element inet tw_watched sticky 0xc0000208', '+ element inet tw_watched marks 0xc0000207']) {
    t.true(told.includes(line), told.join('; '));
  }
  t.true((await listed()).includes('192.0.2.7'));
});

kernelTest('RulesetWatch: a ruleset that is changed again and again is put right a few times a second', async (t) => {
  const { changes, before } = await watching(t);
  const end = Date.now() + 1500;
  // A table that comes and goes must not keep our own from being put right.
  while (Date.now() < end) {
    await nft('insert rule inet tw_watched output accept; add table ip passing').catch(() => undefined);
    await nft('delete table ip passing').catch(() => undefined);
  }
  await until(() => changes.length >= 3);
  await comesTrue(async () => (await listed()) === before);
  t.is(await listed(), before);
  t.true(changes.length <= 20, `${changes.length} times`);
});

kernelTest('RulesetWatch: who waits for it does not wait for those who change a ruleset without end', async (t) => {
  const { watch, changes } = await watching(t);
  let ended = false;
  const changing = (async () => {
    while (!ended) await nft('insert rule inet tw_watched output accept').catch(() => undefined);
  })();
  await until(() => changes.length > 0);
  const begun = Date.now();
  await watch.settle();
  ended = true;
  await changing;
  t.true(Date.now() - begun < 2000, `${Date.now() - begun} ms`);
});

kernelTest(
  'RulesetWatch: counters and elements that packets made live on, also where strange parts are taken out',
  async (t) => {
    const { changes, before } = await watching(t);
    const send =
      'socket(S,AF_INET,SOCK_DGRAM,0); send(S,"x",0,pack_sockaddr_in(9,inet_aton("198.51.100.7"))) for 1..50';
    // Not over lo, which is accepted: over a link that leads nowhere.
    await scratch.run([
      'sh',
      '-euc',
      'ip link add out type veth peer name world; ip link set out up; ip link set world up; ip address add 192.0.2.100/24 dev out; ip route add default dev out',
    ]);
    await scratch.run(['perl', '-MSocket', '-e', send] as unknown as ['perl']);
    const counts = async (): Promise<string> =>
      (await scratch.run(['nft', 'list', 'table', 'inet', 'tw_watched'])).stdout;
    const areCounted = async (): Promise<void> => {
      const counted = await counts();
      // The link's own noise is counted too.
      t.true(Number(/counter refused \{\s+packets (\d+) /.exec(counted)?.[1]) >= 50, counted);
      t.regex(counted, /elements = \{ 198\.51\.100\.7 counter packets 50 /);
    };
    await areCounted();
    await nft(`
    flush table inet tw_watched
    delete set inet tw_watched sticky
    table inet tw_watched {
      set sticky { type inet_service; }
      set strange { type ipv4_addr; elements = { 192.0.2.9 }; }
      counter stranger { }
      chain lost { counter name stranger accept; }
      chain early { type filter hook output priority -400; ip daddr @strange jump lost; }
      chain output { policy accept; }
    }
  `);
    await until(() => changes.length > 0);
    t.not(changes[0]?.restoredMs, null, changes[0]?.difference.join('; '));
    t.deepEqual(partsOf(await listed()), partsOf(before));
    await areCounted();
  },
);

kernelTest('RulesetWatch: a chain of the same name at another hook is made anew', async (t) => {
  const { changes, before } = await watching(t);
  await nft(`
    flush table inet tw_watched
    delete chain inet tw_watched output
    table inet tw_watched { chain output { type filter hook input priority 7; policy accept; }; }
  `);
  await until(() => changes.length > 0);
  t.not(changes[0]?.restoredMs, null, changes[0]?.difference.join('; '));
  t.deepEqual(partsOf(await listed()), partsOf(before));
});

kernelTest('RulesetWatch: a ruleset that cannot be loaded again is said to be gone', async (t) => {
  await nft(table);
  const changes: RulesetChange[] = [];
  const path = `/proc/${scratch.pid}/ns/net`;
  const opened = await inNetworkNamespace(path, () => ({
    socket: new NfnetlinkSocket(),
    changes: new RulesetChanges(),
  }));
  const restore = async (): Promise<void> => Promise.reject(new Error('no nft'));
  const watch = await RulesetWatch.open({ ...opened, restore, onChange: (change) => changes.push(change) });
  t.teardown(() => watch.close());
  await nft('flush ruleset');
  await until(() => changes.length > 0);
  t.is(changes[0]?.restoredMs, null);
  t.is(changes[0]?.difference.at(-1), 'it was not loaded: no nft');
  await nft('add table inet beside');
  await nft('delete table inet beside');
  await watch.settle();
  t.is(changes.length, 1, 'once');
});
