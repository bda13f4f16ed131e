import test from 'ava';
import { parseSocketTable } from './proc-net.ts';
import { canBeOf } from './socket-holders.ts';

// As Linux 6.18 writes them.
const udp = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  157: 00000000:8DB9 00000000:0000 07 00000000:00000000 00:00000000 00000000 71001        0 4711 2 00000000 0
  158: 0200C80A:8DBA 076433C6:0035 01 00000000:00000000 00:00000000 00000000     0        0 4712 2 00000000 0
`;
const udp6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  158: 00000000000000000000000000000000:8DBA B80D0120000000000000000007000000:0035 01 00000000:00000000 00:00000000 00000000 71001        0 4713 2 00000000 0
  159: 0000000000000000FFFF00000200C80A:8DBA 0000000000000000FFFF0000076433C6:0035 01 00000000:00000000 00:00000000 00000000 71001        0 4714 2 00000000 0
`;

test('parseSocketTable: addresses, ports, uid and inode, IPv4 and IPv6', (t) => {
  t.deepEqual(parseSocketTable(udp), [
    { localAddress: '0.0.0.0', localPort: 36_281, remoteAddress: '0.0.0.0', remotePort: 0, uid: 71001, inode: 4711 },
    {
      localAddress: '10.200.0.2',
      localPort: 36_282,
      remoteAddress: '198.51.100.7',
      remotePort: 53,
      uid: 0,
      inode: 4712,
    },
  ]);
  t.like(parseSocketTable(udp6)[0], { localAddress: '::', remoteAddress: '2001:db8::7', remotePort: 53 });
  t.like(parseSocketTable(udp6)[1], { localAddress: '10.200.0.2', remoteAddress: '198.51.100.7' });
  t.deepEqual(parseSocketTable('nonsense\n'), []);
});

test('canBeOf: what is set of a socket’s tuple must be the packet’s', (t) => {
  const packet = {
    protocol: 17,
    source: '10.200.0.2',
    sourcePort: 36_282,
    destination: '198.51.100.7',
    destinationPort: 53,
    uid: 71_001,
  };
  const [unconnected, connected] = parseSocketTable(udp);
  if (unconnected === undefined || connected === undefined) return t.fail();
  t.true(canBeOf(connected, packet));
  t.false(canBeOf(unconnected, packet), 'another port');
  t.true(canBeOf({ ...unconnected, localPort: 36_282 }, packet));
  t.false(canBeOf({ ...connected, remotePort: 54 }, packet));
  t.false(canBeOf({ ...connected, remoteAddress: '198.51.100.8' }, packet));
  t.false(canBeOf({ ...connected, localAddress: '10.200.0.3' }, packet));
  const echo = { ...packet, protocol: 1, sourcePort: null, destinationPort: null };
  t.true(canBeOf(unconnected, echo));
  t.false(canBeOf({ ...unconnected, uid: 5 }, echo), 'another user’s');
});
