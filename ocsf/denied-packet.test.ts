import test from 'ava';
import { context, origin, tcp } from '../e2e/support/sample-events.ts';
import { seeded } from '../e2e/support/seeded.ts';
import { deepFreeze } from './frozen.ts';
import { type DeniedPacketInput, deniedPacket } from './index.ts';

test('deniedPacket: what is taken over from a packet before is what the packet alone gives', (t) => {
  const random = seeded(5);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const frozen = deepFreeze(structuredClone(context));
  const rules = [deepFreeze({ name: 'refuse', comment: 'all' }), deepFreeze({ name: 'r"', uid: 'u', version: '1' })];
  const optional = <Key extends string, T>(key: Key, values: readonly T[]) =>
    random() < 0.3 ? {} : ({ [key]: pick(values) } as { readonly [K in Key]: T });
  const addresses = ['203.0.113.10', '127.0.0.1', '10.0.0.1', '169.254.169.254', 'fd00:ec2::254', '::1', '2001:db8::1'];
  // As the kernel writes it.
  addresses.push('2001:0db8:0000:0000:0000:0000:0000:0001');
  const { uid: _u, gid: _g, mark: _m, exec: _e, tcpFlags: _t, ...base } = tcp;
  for (let index = 0; index < 8000; index += 1) {
    // Some ends come often, and there are more than are remembered.
    const ports = [22, 53, 80, 123, 443, 445, 853, 4444, 1000 + Math.floor(random() * 100)];
    const rare = `198.51.100.${Math.floor(random() * 256)}`;
    const input: DeniedPacketInput = {
      ...base,
      time: 1790000000000 + index,
      originalTime: `${index}.000001`,
      sequence: index,
      protocol: pick([1, 6, 17, 58, 132, 136, 253]),
      source: {
        ip: pick(['10.200.0.2', 'fd00::2', 'fd00:0000:0000:0000:0000:0000:0000:0002']),
        ...optional('port', [1, 2]),
      },
      destination: {
        ip: pick([...addresses, rare]),
        ...optional('port', ports),
      },
      interfaceOut: pick(['eth0', 'veth"1', 'x'.repeat(2000)]),
      length: pick([60, 1500]),
      rawLine: pick(['plain', '\ud800', 'ä'.repeat(600), 'x'.repeat(5000)]),
      rule: pick(rules),
      verdict: pick(['tcp-reset', 'icmpx-admin-prohibited', 'drop'] as const),
      ...optional('uid', [0, 1000]),
      ...optional('gid', [0, 1000]),
      ...optional('mark', [1, 2]),
      ...optional('tcpFlags', [0, 2, 18]),
      ...optional('icmp', [
        { type: 8, code: 0 },
        { type: 3, code: 1 },
      ]),
      ...optional('origin', [
        { ...origin, process: undefined, ancestors: [], reason: 'no-record' },
        {
          ...origin,
          process: { pid: 5, arguments: ['a b', '\ud800'], ageMs: 1000 + index },
          confidence: 'low' as const,
        },
        { ...origin, process: { pid: 5, binary: 'x'.repeat(5000), arguments: [] }, confidence: 'medium' as const },
        { ...origin, ancestors: [], process: { pid: 6, binary: '/a', arguments: ['a'] } },
        { ...origin, process: undefined, ancestors: [], candidates: [{ pid: 7, arguments: [] }] },
      ]),
      ...optional('exec', [{ id: '1' }, { id: 'e'.repeat(100) }, { id: '\udc00' }]),
    };
    // A context that may change is never remembered.
    const alone = deniedPacket({ ...frozen }, input);
    const found = deniedPacket(frozen, input);
    if (JSON.stringify(found) !== JSON.stringify(alone)) t.deepEqual(found, alone, JSON.stringify(input));
  }
  t.pass();
});

test('deniedPacket: to an end that is known, what is otherwise bad is refused too', (t) => {
  const frozen = deepFreeze(structuredClone(context));
  const rule = deepFreeze({ name: 'refuse' });
  for (let times = 0; times < 3; times += 1) deniedPacket(frozen, { ...tcp, rule });
  for (const change of [
    { time: -1 },
    { sequence: 0.5 },
    { originalTime: 'now' },
    { length: 2 ** 32 },
    { source: { ip: tcp.source.ip, port: 65_536 } },
    { source: { ip: '10.200.0', port: 1 } },
    { destination: { ip: tcp.destination.ip, port: -1 } },
    { destination: { ip: `${tcp.destination.ip}.1`, port: 1 } },
  ]) {
    t.throws(() => deniedPacket(frozen, { ...tcp, rule, ...change }), { code: 'EVENT_INVALID' });
  }
});

test('deniedPacket: of a scan it remembers a bounded number of ends', (t) => {
  const frozen = deepFreeze(structuredClone(context));
  const rule = deepFreeze({ name: 'refuse' });
  for (let index = 0; index < 12_000; index += 1) {
    const destination = { ip: `10.${index % 3}.${(index >> 4) & 255}.1`, port: 1 + (index % 40) };
    const input = { ...tcp, rule, destination };
    for (const event of [deniedPacket(frozen, input), deniedPacket(frozen, input)]) {
      if (event.dst_endpoint?.ip !== destination.ip || event.dst_endpoint.port !== destination.port) t.fail();
    }
  }
  t.pass();
});

test('deniedPacket: a bad number is refused after a good packet too', (t) => {
  const frozen = deepFreeze(structuredClone(context));
  const rule = deepFreeze({ name: 'refuse' });
  deniedPacket(frozen, { ...tcp, rule });
  for (const change of [
    { uid: -1 },
    { gid: 2 ** 32 },
    { mark: NaN },
    { icmp: { type: 256, code: 0 } },
    { protocol: 1.5 },
    { origin: { ...origin, process: { pid: 0, arguments: [] } } },
    { origin: { ...origin, process: { pid: 1, arguments: [], ageMs: -1 } } },
    { origin: { ...origin, candidates: [{ pid: 2 ** 31, arguments: [] }] } },
    { origin: { ...origin, conflict: { markExec: -1, auditExec: 0 } } },
  ]) {
    t.throws(() => deniedPacket(frozen, { ...tcp, rule, ...change }), { code: 'EVENT_INVALID' });
  }
});
