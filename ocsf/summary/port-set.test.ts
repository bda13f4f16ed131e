import test from 'ava';
import { seeded } from '../../e2e/support/seeded.ts';
import { PortSet } from './port-set.ts';

test('PortSet: holds what a set holds, few ports or all', (t) => {
  const random = seeded(3);
  for (const size of [1, 10, 64, 65, 1000, 30_000]) {
    const ports = new PortSet({ left: 1 });
    const wanted = new Set<number>();
    for (let index = 0; index < size * 2; index += 1) {
      const port = Math.floor(random() * 65_536);
      ports.add(port);
      wanted.add(port);
    }
    t.is(ports.size, wanted.size);
    t.true(ports.exact);
    const told = ports
      .ranges(Infinity)
      .flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, at) => from + at));
    t.deepEqual(
      told,
      [...wanted].sort((a, b) => a - b),
    );
  }
});

test('PortSet: all ports are one range, and what is no port is none', (t) => {
  const ports = new PortSet({ left: 1 });
  for (let port = 65_535; port >= 0; port -= 1) ports.add(port);
  for (const odd of [-1, 65_536, 1.5, NaN]) ports.add(odd);
  t.is(ports.size, 65_536);
  t.deepEqual(ports.ranges(2), [[0, 65_535]]);
});

test('PortSet: without memory left it says that there are more', (t) => {
  const budget = { left: 1 };
  const [rich, poor] = [new PortSet(budget), new PortSet(budget)];
  for (let port = 0; port < 200; port += 2) rich.add(port);
  for (let port = 0; port < 200; port += 2) poor.add(port);
  t.deepEqual([rich.size, rich.exact], [100, true]);
  t.deepEqual([poor.size, poor.exact], [64, false]);
  t.is(poor.ranges(3).length, 3);
  rich.addAll(poor);
  t.deepEqual([rich.size, rich.exact], [100, false]);
});
