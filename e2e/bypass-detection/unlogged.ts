import type { ExecutionContext } from 'ava';
import { makeGuest } from '../support/guest-variant.ts';
import { attemptOf, type RunResult, refusals, withCode } from '../support/record.ts';
import type { Bench } from '../support/sandbox-bench.ts';

const probe = `
import errno, socket
print(errno.errorcode[socket.socket().connect_ex(("198.51.100.1", 80))])
for number in range(5):
    try:
        socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("198.51.100.2", 53))
    except PermissionError as error:
        print(errno.errorcode[error.errno])
`;

/** In a guest that cannot log, with --allow-unlogged, attempts are refused and counted without log lines, and it is said. */
export async function countsWithoutLines(t: ExecutionContext, bench: Bench): Promise<RunResult | undefined> {
  const guest = await makeGuest(bench.folder, { withoutModules: ['nft_log', 'nf_log_syslog'] });
  const { status, stdout, stderr, result, events } = await bench.run(['--allow-unlogged', '--', 'python3', '-'], {
    input: probe,
    env: { TAPWARDEN_GUEST_DIR: guest },
  });
  t.is(status, 0, stderr);
  t.is(stdout.toString('utf8'), 'ECONNREFUSED\n'.concat('EPERM\n'.repeat(5)));
  t.regex(stderr, /^tapwarden: warning: .*unseen/m);
  t.is(withCode(events, 'fence-unlogged').length, 1);
  t.is(withCode(events, 'fence-unlogged')[0]?.severity_id, 4);
  t.deepEqual([result?.denied, result?.attempts, result?.lost], [6, 2, 6], 'refused without an event of their own');
  t.deepEqual(result?.incomplete, ['unlogged: the fence leaves no log line of what it refuses']);
  t.is(withCode(events, 'sandbox-started')[0]?.unmapped?.attribution, 'uid', 'no line shows the mark');
  // The sets tell of them, in one reading or more.
  const sums: Record<string, number> = {};
  for (const event of refusals(events)) {
    t.is(event.unmapped?.aggregation?.reason, 'unlogged');
    sums[attemptOf(event)] = (sums[attemptOf(event)] ?? 0) + (event.count ?? 1);
  }
  t.deepEqual(sums, { '198.51.100.1 6 80': 1, '198.51.100.2 17 53': 5 });
  return result;
}
