import test from 'ava';
import { Connections } from './connections.ts';

const to = (port: number) => ({ address: '192.0.2.1', port });
const life = (pid: number, startMs: number, endMs: number) => ({ pid, startMs, endMs });

test('Connections: those of a process and of whom it descends from, before a record and in their lives', (t) => {
  const connections = new Connections();
  connections.add({ pid: 5, serial: 1, atMs: 10, destination: to(1) });
  connections.add({ pid: 6, serial: 2, atMs: 20, destination: to(2) });
  connections.add({ pid: 5, serial: 3, atMs: 30, destination: to(3) });
  connections.add({ pid: 7, serial: 4, atMs: 30, destination: to(4) });
  t.deepEqual(connections.before(9, [life(6, 15, 100), life(5, 0, 15)]), [to(2), to(1)]);
  t.deepEqual(connections.before(3, [life(5, 0, 100)]), [to(1)]);
  t.deepEqual(connections.before(9, [life(5, 20, 100)]), [to(3)], 'of another process with the same number are none');
  t.is(connections.before(9, [life(8, 0, 100)]), undefined);
  t.is(connections.before(9, []), undefined);
});

test('Connections: of whom some may be forgotten, nothing is known', (t) => {
  const connections = new Connections();
  for (let serial = 1; serial <= 257; serial += 1) {
    connections.add({ pid: 5, serial, atMs: serial, destination: to(serial) });
  }
  t.is(connections.before(1000, [life(5, 0, 1000)]), undefined);
  t.is(connections.before(1000, [life(5, 2, 1000)])?.length, 256);
  for (let pid = 10; pid < 10 + 16_384; pid += 1) {
    connections.add({ pid, serial: 1000 + pid, atMs: 500 + pid, destination: to(1) });
  }
  t.is(connections.before(100_000, [life(5, 2, 1000)]), undefined);
  t.deepEqual(connections.before(100_000, [life(5000, 5499, 5501)]), [to(1)]);
});
