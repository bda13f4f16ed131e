import { rm } from 'node:fs/promises';
import { dir } from 'tmp-promise';
import { measureRun, type Outcome } from './attribution-run.ts';
import type { Benchmark, Measured } from './benchmark.ts';
import { describeMachine } from './machine.ts';
import type { Carrier } from './sandbox.ts';
import { quantile } from './summary.ts';

/**
 * `npm run bench -- attribution`: of refused packets of processes that live for some milliseconds, how many get the right
 * process in the log of `tapwarden run`. Each makes one attempt, to a port of its own: TCP connects, blocking and not, datagrams
 * with an address, and datagrams written to a connected socket. In a jail and in a virtual machine; with the kernel's audit records,
 * and without.
 */
export const attributionBenchmark: Benchmark = {
  name: 'attribution',
  summary:
    'refused packets of processes that live for milliseconds: how many are given to the right one (--attempts N, 1000; --no-vm)',
  options: { attempts: { type: 'string' }, 'no-vm': { type: 'boolean' } },
  measure: async (values, say) => {
    const attempts = Number(values['attempts'] ?? 1000);
    if (!Number.isInteger(attempts) || attempts < 4 || attempts > 10_000 || attempts % 2 !== 0) {
      throw new RangeError('--attempts takes an even number from 4 to 10000');
    }
    const carriers: readonly Carrier[] = values['no-vm'] === true ? ['jail'] : ['jail', 'vm'];
    const { path: folder } = await dir({ prefix: 'tapwarden-bench-' });
    try {
      const measured: Part[] = [];
      for (const audit of [true, false]) {
        for (const carrier of carriers) {
          say(`${attempts} attempts in a ${carrier} ${audit ? 'with' : 'without'} audit`);
          measured.push({ carrier, audit, outcome: await measureRun({ carrier, attempts, audit, folder, say }) });
        }
      }
      return report(measured, await describeMachine());
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

type Part = { readonly carrier: Carrier; readonly audit: boolean; readonly outcome: Outcome };

function report(parts: readonly Part[], machine: string): Measured {
  return {
    figures: { ...figuresOf(parts, true), ...figuresOf(parts, false) },
    markdown: [
      `${parts[0]?.outcome.attempts} attempts each, in two lanes at the same time. ${machine}.`,
      '',
      '| where, and sender found by | right process | wrong one | pid alone | exec alone | no event | lived, median ms | under 5 ms | ms an attempt |',
      '|---|--:|--:|--:|--:|--:|--:|--:|--:|',
      ...parts.map(rowOf),
    ],
  };
}

/** Of both carriers, and of the worse of them without its name. */
function figuresOf(parts: readonly Part[], audit: boolean): Readonly<Record<string, number>> {
  const prefix = audit ? '' : 'fallback_';
  const own = parts.filter((part) => part.audit === audit);
  const each = (name: string, take: (outcome: Outcome) => number, worst: (...all: number[]) => number) => [
    [`${prefix}${name}`, worst(...own.map(({ outcome }) => take(outcome)))] as const,
    ...own.map(({ carrier, outcome }) => [`${prefix}${name}_${carrier}`, take(outcome)] as const),
  ];
  return Object.fromEntries([
    ...each('attempts', ({ attempts }) => attempts, Math.min),
    ...each('exact_ratio', ({ counts, attempts }) => ratio(counts.exact, attempts), Math.min),
    ...each('wrong', ({ counts }) => counts.wrong, Math.max),
    ...each('partial', ({ counts }) => counts.partial, Math.max),
    ...each('by_exec', ({ counts }) => counts.exec, Math.max),
    ...each('missing', ({ counts }) => counts.missing, Math.max),
    ...each('lived_ms_median', ({ livedMs }) => hundredths(quantile(livedMs, 0.5)), Math.max),
    ...each('lived_under_5_ms_ratio', underFive, Math.min),
  ]);
}

function rowOf({ carrier, audit, outcome }: Part): string {
  const { counts, attempts, livedMs, elapsedMs } = outcome;
  const where = `${carrier === 'jail' ? 'jail' : 'virtual machine'}, ${audit ? 'audit records' : 'without audit'}`;
  const { exact, wrong, partial, exec, missing } = counts;
  const lived = [hundredths(quantile(livedMs, 0.5)), `${Math.round(underFive(outcome) * 100)} %`];
  return `| ${[where, exact, wrong, partial, exec, missing, ...lived, (elapsedMs / attempts).toFixed(2)].join(' | ')} |`;
}

const underFive = ({ livedMs, attempts }: Outcome): number => ratio(livedMs.filter((ms) => ms < 5).length, attempts);

/** Rounded down, so that 1 is all of them. */
const ratio = (part: number, of: number): number => Math.floor((part / of) * 10_000) / 10_000;

const hundredths = (value: number): number => Math.round(value * 100) / 100;
