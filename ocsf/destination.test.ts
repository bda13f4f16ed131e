import test from 'ava';
import ipaddr from 'ipaddr.js';
import { classifyAddress } from './destination.ts';

/** What the registries say of an address, through ipaddr.js. */
function boundaryByRegistry(ip: string): number {
  const [first, second, third] = ip.split('.').map(Number);
  const range = ipaddr.IPv4.parse(ip).range();
  if (range === 'loopback') return 1;
  if (range === 'multicast') return first === 239 || (first === 224 && second === 0 && third === 0) ? 2 : 3;
  const inside = ['private', 'linkLocal', 'carrierGradeNat', 'broadcast', 'unspecified'];
  return inside.includes(range) ? 2 : 3;
}

test('classifyAddress: each IPv4 network, from its first address to its last and one beyond, is where ipaddr.js has it', (t) => {
  const edges = [
    ...['0.0.0.0', '0.255.255.255', '1.0.0.0', '9.255.255.255', '10.0.0.0', '10.255.255.255', '11.0.0.0'],
    ...['100.63.255.255', '100.64.0.0', '100.127.255.255', '100.128.0.0', '126.255.255.255', '127.0.0.0'],
    ...['127.255.255.255', '128.0.0.0', '169.253.255.255', '169.254.0.0', '169.254.255.255', '169.255.0.0'],
    ...['172.15.255.255', '172.16.0.0', '172.31.255.255', '172.32.0.0', '192.167.255.255', '192.168.0.0'],
    ...['192.168.255.255', '192.169.0.0', '223.255.255.255', '224.0.0.0', '224.0.0.255', '224.0.1.0'],
    ...['238.255.255.255', '239.0.0.0', '239.255.255.255', '240.0.0.0', '255.255.255.254', '255.255.255.255'],
  ];
  // One address of each /16, with the last two bytes of a fixed series.
  const others = Array.from({ length: 65_536 }, (_, index) => {
    const low = (index * 40_503) & 0xffff;
    return [index >> 8, index & 0xff, low >> 8, low & 0xff].join('.');
  });
  const wrong = [...edges, ...others].filter((ip) => classifyAddress(ip).boundaryId !== boundaryByRegistry(ip));
  t.deepEqual(wrong, []);
});

test('classifyAddress: the metadata services are known in every form of their address', (t) => {
  for (const ip of ['169.254.169.254', '::ffff:169.254.169.254', 'fd00:ec2::254'])
    t.true(classifyAddress(ip).isMetadata);
  for (const ip of ['169.254.169.253', '169.254.169.255', 'fd00:ec2::253']) t.false(classifyAddress(ip).isMetadata);
});
