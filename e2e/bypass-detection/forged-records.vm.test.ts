import { readFileSync } from 'node:fs';
import { makeGuest } from '../support/guest-variant.ts';
import { refusals } from '../support/record.ts';
import { vmTest } from '../support/vm-test.ts';

const forger = readFileSync('e2e/bypass-detection/testdata/forger.sh', 'utf8');

/** Is refused, waits for the forgeries, is refused again. */
const workload = `
import os, socket, time
def attempt(port):
    try:
        socket.create_connection(("198.51.100.1", port), 5)
    except ConnectionRefusedError:
        pass
attempt(1001)
open("/home/workload/begin", "w").close()
while not os.path.exists("/home/workload/forged"):
    time.sleep(0.1)
attempt(1002)
print(open("/home/workload/forged").read(), end="")
`;

vmTest('bypass-detection: lines that root of the guest forges in the kernel log make no event', async (t, bench) => {
  const guest = await makeGuest(bench.folder, {
    moved: { '/usr/sbin/init': '/usr/sbin/init.shipped' },
    programs: { '/usr/sbin/init': forger },
  });
  const { status, stdout, stderr, result, events } = await bench.run(['--timeout', '60', '--', 'python3', '-'], {
    input: workload,
    env: { TAPWARDEN_GUEST_DIR: guest },
  });
  t.is(status, 0, stderr);
  t.regex(
    stdout.toString('utf8'),
    /^TW1 [a-z2-7]{16} deny IN= OUT=eth0 SRC=10\.200\.0\.2 DST=203\.0\.113\.66 /,
    'what was forged has this run’s prefix',
  );
  t.deepEqual(
    refusals(events).map((event) => `${event.dst_endpoint?.ip} ${event.dst_endpoint?.port}`),
    ['198.51.100.1 1001', '198.51.100.1 1002'],
    'only the packets that were there are events',
  );
  const [first = 0, last = 0] = refusals(events).map((event) => Number(event.metadata.original_event_uid));
  t.true(
    last - first > 100,
    `${last - first} records of the kernel log lie between the two, the forged ones among them`,
  );
  t.deepEqual([result?.denied, result?.attempts, result?.lost], [2, 2, 0]);
});
