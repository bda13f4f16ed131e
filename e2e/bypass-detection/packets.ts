import { readFileSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import { attemptOf, type LoggedEvent, refusals, withCode } from '../support/record.ts';
import type { Bench } from '../support/sandbox-bench.ts';

const probe = readFileSync('e2e/bypass-detection/testdata/packets.py', 'utf8');

/** What testdata/packets.py prints: what each attempt came to, by name. */
type Report = Readonly<Record<string, { readonly answer: string; readonly ms: number }>>;

type Refused = { readonly answer: string; readonly to: string; readonly protocol: number; readonly port?: number };

const [icmp, tcp, udp, icmp6, sctp, udplite] = [1, 6, 17, 58, 132, 136] as const;
const refused = (to: string, port: number): Refused => ({ answer: 'ECONNREFUSED', to, protocol: tcp, port });
const forbidden = (to: string, protocol: number, port?: number): Refused => ({
  answer: 'EPERM',
  to,
  protocol,
  ...(port === undefined ? {} : { port }),
});

/** Every attempt of the probe by its name: what the program is told, and where the packet would have gone. */
const attempts: Readonly<Record<string, Refused>> = {
  tcp4: refused('198.51.100.1', 80),
  'tcp4-metadata': refused('169.254.169.254', 80),
  tcp6: refused('2001:db8::1', 443),
  'tcp6-link-local': refused('fe80::1', 22),
  // A mapped address is IPv4 on the wire.
  'tcp6-mapped': refused('198.51.100.2', 8080),
  udp4: forbidden('198.51.100.3', udp, 4433),
  'udp4-connected': forbidden('198.51.100.4', udp, 4433),
  'udp4-multicast': forbidden('239.1.2.3', udp, 5353),
  udp6: forbidden('2001:db8::2', udp, 4433),
  'udp6-link-local': forbidden('fe80::2', udp, 4433),
  'udp6-multicast': forbidden('ff02::1', udp, 5353),
  udplite4: forbidden('198.51.100.5', udplite, 5005),
  udplite6: forbidden('2001:db8::5', udplite, 5005),
  icmp: forbidden('198.51.100.6', icmp),
  // The kernel's IPv6 ping sockets keep the refusal to themselves; the packet is refused all the same.
  icmp6: { answer: 'ok', to: '2001:db8::6', protocol: icmp6 },
  // A refused SCTP association goes on trying until the program gives up.
  sctp4: { answer: 'EINPROGRESS', to: '198.51.100.7', protocol: sctp, port: 3868 },
  sctp6: { answer: 'EINPROGRESS', to: '2001:db8::7', protocol: sctp, port: 3868 },
  dns: forbidden('198.51.100.8', udp, 53),
  dot: refused('198.51.100.8', 853),
  'supervisor-ssh': refused('10.200.0.1', 22),
  'supervisor-6': refused('fd74:7761:776f::1', 3128),
  'supervisor-udp': forbidden('10.200.0.1', udp, 3128),
  gateway: refused('10.0.128.1', 3128),
  'gateway-ssh': refused('10.0.128.1', 22),
  'guest-uplink': refused('10.0.128.2', 22),
  'gateway-6': refused('fd74:7761:7264::1', 22),
};

/** An attempt is answered within this time, of which an emulated processor needs the most. */
const promptMs = 1000;

/** Every kind of packet around the proxy is refused at once, and told of. */
export async function refusesEveryPacket(t: ExecutionContext, bench: Bench): Promise<void> {
  const { status, stdout, stderr, result, events } = await bench.run(['--', 'python3', '-'], { input: probe });
  t.is(status, 0, stderr);
  // A jail's workload has a uid of its own on the host, the guest's has one in the guest.
  const uid = withCode(events, 'exec-launched')[0]?.process?.user?.uid ?? '';
  t.regex(uid, bench.boundary === 'jail' ? /^19000\d{5}$/ : /^1000$/);
  const report = JSON.parse(stdout.toString('utf8')) as Report;

  // The guest's kernel speaks all of these protocols, that of a jail is the machine's.
  const made = Object.entries(attempts).filter(
    ([name]) => bench.boundary === 'vm' || report[name]?.answer !== 'EPROTONOSUPPORT',
  );
  t.true(made.length >= Object.keys(attempts).length - 4, 'nearly all were tried');
  for (const [name, wanted] of made) {
    const { answer, ms } = report[name] ?? { answer: 'not tried', ms: 0 };
    t.is(answer, wanted.answer, name);
    t.true(ms < promptMs, `${name} took ${ms} ms`);
    const told = withCode(events, 'egress-denied').filter((event) => isOf(event, wanted));
    t.true(told.length > 0, `${name} has an event`);
    for (const event of told) {
      t.is(event.class_uid, 4001, name);
      t.is(event.activity_name, 'Refuse', name);
      t.is(event.actor?.user?.uid, uid, name);
      t.is(event.unmapped?.exec?.id, '1', `${name} is of the exec`);
    }
  }
  t.deepEqual(withCode(events, 'egress-denied').find((event) => isOf(event, attempts['icmp']))?.unmapped?.icmp, {
    type: 8,
    code: 0,
  });
  const metadata = withCode(events, 'egress-denied').find((event) => event.dst_endpoint?.ip === '169.254.169.254');
  t.is(metadata?.severity_id, 4, 'the metadata service is of high severity');

  t.is(report['proxy']?.answer, 'ok', 'the proxy is reached');
  t.is(report['loopback']?.answer, 'ok', 'the workload talks to itself');
  t.not(report['resolver']?.answer, 'ok', 'there is no resolver');
  t.true(
    events.some((event) => attemptOf(event) === `10.200.0.1 ${udp} 53`),
    'the look-up is told of',
  );

  t.is(report['parallel']?.answer, '200', 'of 200 connects at once all are refused');
  t.true((report['parallel']?.ms ?? Number.NaN) < 2000, `200 connects took ${report['parallel']?.ms} ms`);
  const parallel = events.filter((event) => event.dst_endpoint?.ip === '198.51.100.200');
  t.deepEqual(
    parallel.map((event) => event.dst_endpoint?.port).toSorted((a = 0, b = 0) => a - b),
    Array.from({ length: 200 }, (_, number) => 10_000 + number),
  );

  // That denied is the sum over these events, and attempts the distinct ones, is checked after every test.
  const aggregates = withCode(refusals(events), 'egress-denied-aggregate');
  // The log of a host may be too small for so many lines at once. What has no line is told of all the same.
  if (bench.boundary === 'vm') t.is(aggregates.length, 0);
  t.is(
    result?.lost,
    aggregates.reduce((sum, { count }) => sum + (count ?? 1), 0),
  );
  t.deepEqual([result?.complete, result?.incomplete], [true, []]);
  t.is(withCode(events, 'sandbox-started')[0]?.unmapped?.attribution, 'exec-mark');
  t.is(result?.attempts, made.length + 1 + 200);
  t.is(result?.allowed, 0);
  const stopped = withCode(events, 'sandbox-stopped')[0];
  t.deepEqual(
    Object.values(stopped?.unmapped?.slot ?? {}).filter((packets) => packets !== 0),
    [],
    'nothing got past the guest, for the host to drop',
  );
}

function isOf(event: LoggedEvent, wanted: Refused | undefined): boolean {
  return (
    event.dst_endpoint?.ip === wanted?.to &&
    event.connection_info?.protocol_num === wanted?.protocol &&
    event.dst_endpoint?.port === wanted?.port
  );
}
