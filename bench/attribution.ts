import { fileURLToPath } from 'node:url';
import { type AttributionWorld, makeAttributionWorld, type Told } from '../e2e/support/attribution-world.ts';
import type { Benchmark, Measured } from './benchmark.ts';
import { describeMachine } from './machine.ts';

/**
 * `npm run bench -- attribution`: of refused packets of processes that live for some milliseconds, how many get the right
 * process. Each makes one attempt, to a port of its own: TCP connects, datagrams with an address, and datagrams written to
 * a connected socket. Once with the kernel's audit records, once without.
 */
export const attributionBenchmark: Benchmark = {
  name: 'attribution',
  summary:
    'refused packets of processes that live for milliseconds: how many are given to the right one (--attempts N, 1000)',
  options: { attempts: { type: 'string' } },
  measure: async (values, say) => {
    const attempts = Number(values['attempts'] ?? 1000);
    if (!Number.isInteger(attempts) || attempts < 4 || attempts > 40_000) {
      throw new RangeError('--attempts takes 4 to 40000');
    }
    say(`${attempts} attempts with audit`);
    const byAudit = await measureOnce(attempts, true);
    say(`${attempts} attempts without`);
    const byFallback = await measureOnce(attempts, false);
    return report(attempts, byAudit, byFallback, await describeMachine());
  },
};

const driver = fileURLToPath(new URL('../../bench/testdata/short-lived.pl', import.meta.url));
const address = '198.51.100.20';
const firstPort = 10_000;
/** The execs whose processes try at the same time. */
const execs = [1, 2] as const;

/** What one process did, by its parent's word. */
type Truth = { readonly pid: number; readonly binary: string; readonly exec: number; readonly livedMs: number };

/** What became of the attempts. */
export type Outcome = {
  /** Named with the right pid and program. */
  readonly exact: number;
  /** Named with another one, or as another exec's. */
  readonly wrong: number;
  /** Not named, with the right exec. */
  readonly byExec: number;
  /** Of which no line was read. */
  readonly missing: number;
  readonly livedMs: readonly number[];
  /** Milliseconds that the attempts took, one after the other. */
  readonly elapsedMs: number;
};

async function measureOnce(attempts: number, audit: boolean): Promise<Outcome> {
  const world = await makeAttributionWorld({ audit });
  try {
    if (audit && world.attribution.obstacle !== undefined) {
      throw new Error(`The kernel's audit system cannot be used: ${world.attribution.obstacle}`);
    }
    const each = Math.floor(attempts / execs.length);
    const begun = performance.now();
    const parts = await Promise.all(
      execs.map(async (exec, index) => await runDriver(world, exec, firstPort + index * each, each)),
    );
    const elapsedMs = performance.now() - begun;
    return { ...judge(new Map(parts.flat()), await world.settle()), elapsedMs };
  } finally {
    await world.close();
  }
}

/** Runs the attempts of one exec; the answer is by port. */
async function runDriver(
  world: AttributionWorld,
  exec: number,
  first: number,
  count: number,
): Promise<readonly (readonly [number, Truth])[]> {
  const child = world.start(exec, ['/usr/bin/perl', driver, address, String(first), String(count)]);
  let text = '';
  for await (const piece of child.process.stdout ?? []) text += String(piece);
  await child.ended;
  const lines = text.split('\n').filter((line) => line !== '');
  if (lines.length !== count) throw new Error(`${lines.length} of ${count} processes were started`);
  return lines.map((line) => {
    const [pid, port, binary = '', lived] = line.split(' ');
    return [Number(port), { pid: Number(pid), binary, exec, livedMs: Number(lived) / 1000 }];
  });
}

/** Compares what was told with the truth, by port. */
export function judge(truths: ReadonlyMap<number, Truth>, told: readonly Told[]): Omit<Outcome, 'elapsedMs'> {
  const counts = { exact: 0, wrong: 0, byExec: 0, missing: 0 };
  const byPort = new Map(told.map((one) => [one.fact.destinationPort, one.origin]));
  for (const [port, truth] of truths) {
    const origin = byPort.get(port);
    if (origin === undefined) counts.missing += 1;
    else if (origin.exec !== truth.exec) counts.wrong += 1;
    else if (origin.process === null) counts.byExec += 1;
    else if (origin.process.pid === truth.pid && origin.process.binary === truth.binary) counts.exact += 1;
    else counts.wrong += 1;
  }
  return { ...counts, livedMs: [...truths.values()].map(({ livedMs }) => livedMs).sort((a, b) => a - b) };
}

function report(attempts: number, byAudit: Outcome, byFallback: Outcome, machine: string): Measured {
  const ratio = (part: number, of: number): number => Math.floor((part / of) * 10_000) / 10_000;
  const total = Math.floor(attempts / execs.length) * execs.length;
  const under5 = byAudit.livedMs.filter((ms) => ms < 5).length;
  const row = (what: string, { exact, wrong, byExec, missing, elapsedMs }: Outcome): string =>
    `| ${what} | ${exact} | ${wrong} | ${byExec} | ${missing} | ${(elapsedMs / total).toFixed(2)} |`;
  return {
    figures: {
      attempts: total,
      exact_ratio: ratio(byAudit.exact, total),
      wrong: byAudit.wrong,
      by_exec: byAudit.byExec,
      missing: byAudit.missing,
      lived_ms_median: Math.round((byAudit.livedMs[Math.floor(total / 2)] ?? 0) * 100) / 100,
      lived_under_5_ms_ratio: ratio(under5, total),
      fallback_exact_ratio: ratio(byFallback.exact, total),
      fallback_wrong: byFallback.wrong,
      fallback_by_exec: byFallback.byExec,
    },
    markdown: [
      `${total} attempts, half of them of each of two execs at the same time. ${machine}.`,
      '',
      '| sender found by | right process | wrong one | exec alone | no line | ms an attempt |',
      '|---|--:|--:|--:|--:|--:|',
      row('audit records', byAudit),
      row('open sockets, without audit', byFallback),
    ],
  };
}
