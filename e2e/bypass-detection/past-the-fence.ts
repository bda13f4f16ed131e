import type { ExecutionContext } from 'ava';
import { link } from '../../init/index.ts';
import { type RunResult, withCode } from '../support/record.ts';
import { startBesideRoot } from '../support/root-attack.ts';
import type { Bench } from '../support/sandbox-bench.ts';

/**
 * What root sends from the guest's own namespace, which the fence of the workload's does not see: IPv4, IPv6, and frames
 * of another protocol, which a rule of its own makes of packets, as the guest's kernel has no packet sockets.
 */
const script = `
nft 'table netdev rewrite { chain out { type filter hook egress device "eth0" priority 0; ip daddr ${link.hostIpv4} tcp dport 9 @ll,96,16 set 0x88b5; }; }'
tries=0
while [ "$tries" -lt 3 ]; do
	nc -w 1 ${link.hostIpv4} 9 </dev/null
	for address in ${link.hostIpv4} ${link.hostIpv6} fe80::1%eth0; do
		nc -w 1 "$address" 22 </dev/null
	done
	nc -w 1 192.0.2.1 80 </dev/null
	tries=$((tries + 1))
done
`;

/** What root sends past the fence is a critical finding, and the run says so. */
export async function letsPacketsOutPastTheFence(t: ExecutionContext, bench: Bench): Promise<RunResult | undefined> {
  // Before the guest's table is watched, which would be a finding of its own.
  const running = await startBesideRoot(bench, { script, args: ['--', 'sleep', '5'], atOnce: true });
  running.stdin.end();
  const { status, stderr, result, events } = await running.ended;
  t.is(status, 0, stderr);
  const findings = withCode(events, 'finding');
  t.true(findings.length >= 2, stderr);
  t.deepEqual([...new Set(findings.map(({ finding_info }) => finding_info?.types[0]))], ['fence-bypassed']);
  t.is(new Set(findings.map(({ finding_info }) => finding_info?.uid)).size, 1, 'one for all of it');
  t.is(findings[0]?.activity_name, 'Create');
  t.is(findings.at(-1)?.activity_name, 'Close');
  t.true(findings.every(({ severity_id }) => severity_id === 5));
  const slot = withCode(events, 'sandbox-stopped')[0]?.unmapped?.slot ?? {};
  for (const counter of ['ipv6', 'denied_input', 'denied_forward', 'raw']) {
    t.true((slot[counter] ?? 0) > 0, `${counter}: ${JSON.stringify(slot)}`);
  }
  t.is(
    result?.bypassed,
    Object.values(slot).reduce((sum, packets) => sum + packets, 0),
  );
  t.is(result?.findings, 1);
  t.regex(stderr, /^tapwarden: warning: the guest is compromised: \d+ packets came past its fence/m);
  return result;
}
