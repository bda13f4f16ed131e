import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { networkOf } from './support/network-state.ts';
import { refusals } from './support/record.ts';
import type { Bench } from './support/sandbox-bench.ts';
import { makeScratchNamespace } from './support/scratch-namespace.ts';
import { makeWorld, worldNet } from './support/world.ts';

const { host4, host6, world4, world6, udpPort, tcpPort } = worldNet;

/** Two rules: a port of UDP over both families, and one of TCP. */
export const policy = JSON.stringify({
  version: 1,
  rules: [
    { name: 'echo-udp', via: 'direct', protocol: 'udp', addresses: [world4, world6], ports: [udpPort] },
    { name: 'echo-tcp', via: 'direct', protocol: 'tcp', addresses: ['198.51.100.0/24'], ports: [tcpPort] },
  ],
});

/** What the workload tries, as JSON: an answer, or the name of the error. */
const workload = `
import errno, json, socket
def ask(kind, family, address, port):
    s = socket.socket(family, kind)
    s.settimeout(5)
    try:
        s.connect((address, port))
        if kind == socket.SOCK_DGRAM:
            s.send(b'?')
        return s.recv(100).decode()
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))
    finally:
        s.close()
U, T, I4, I6 = socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.AF_INET, socket.AF_INET6
print(json.dumps({
    'udp4': ask(U, I4, '${world4}', ${udpPort}),
    'udp6': ask(U, I6, '${world6}', ${udpPort}),
    'tcp4': ask(T, I4, '${world4}', ${tcpPort}),
    'next udp port': ask(U, I4, '${world4}', ${udpPort + 1}),
    'next udp6 port': ask(U, I6, '${world6}', ${udpPort + 1}),
    'next tcp port': ask(T, I4, '${world4}', ${tcpPort + 1}),
    'tcp6, which no rule has': ask(T, I6, '${world6}', ${tcpPort}),
    'an address of the host': ask(T, I4, '${host4}', ${tcpPort}),
}))
`;

/** A direct rule lets its own packets out, masqueraded, and nothing beside it. */
export async function letsDirectRulesOut(t: ExecutionContext, bench: Bench): Promise<void> {
  const scratch = await makeScratchNamespace();
  // A fresh namespace has the settings of the machine's; the host of this test is no router.
  await scratch.run(['sysctl', '-qw', 'net.ipv4.ip_forward=0', 'net.ipv6.conf.all.forwarding=0']);
  const world = await makeWorld(scratch);
  try {
    const before = await networkOf(scratch.run);
    const file = join(bench.folder, 'policy.json');
    await writeFile(file, policy);
    const options = { before: scratch.enter, input: workload };
    // The host is a namespace of the test's, and the kernel logs there only what a guest's own kernel logs.
    const unlogged = bench.boundary === 'jail';
    const more = unlogged ? ['--allow-unlogged'] : [];
    const run = await bench.run(['--policy', file, ...more, '--', 'python3', '-'], options);
    t.is(run.status, 0, run.stderr);
    t.deepEqual(JSON.parse(run.stdout.toString('utf8') || 'null'), {
      udp4: host4,
      udp6: host6,
      tcp4: host4,
      'next udp port': 'EPERM',
      'next udp6 port': 'EPERM',
      'next tcp port': 'ECONNREFUSED',
      'tcp6, which no rule has': 'ECONNREFUSED',
      'an address of the host': 'ECONNREFUSED',
    });
    t.deepEqual(await world.hears(3), [
      `tcp4 ${tcpPort} ${host4}`,
      `udp4 ${udpPort} ${host4}`,
      `udp6 ${udpPort} ${host6}`,
    ]);
    t.is(run.result?.denied, 5);
    const told = refusals(run.events).map(({ dst_endpoint: end, connection_info: info }) => [
      info?.protocol_num,
      end?.ip,
      end?.port,
    ]);
    const wanted = [
      [17, world4, udpPort + 1],
      [17, world6, udpPort + 1],
      [6, world4, tcpPort + 1],
      [6, world6, tcpPort],
      [6, host4, tcpPort],
    ];
    // Each is told of when it is known who sent it, or without the log in the fence's order.
    t.deepEqual(told.toSorted(), wanted.toSorted());
    t.is(await networkOf(scratch.run), before, 'nothing is left of the uplink');
  } finally {
    await world.close();
    await scratch.close();
  }
}
