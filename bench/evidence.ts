import { rm } from 'node:fs/promises';
import { dir } from 'tmp-promise';
import type { Benchmark, Measured } from './benchmark.ts';
import { type CommonLayout, inCommonLayout } from './evidence-common.ts';
import { type Flood, measureFlood, readFlood } from './evidence-flood.ts';
import { type Latency, measureLatency } from './evidence-latency.ts';
import { describeMachine } from './machine.ts';
import { programText, remainingLines, runInSandbox } from './sandbox.ts';
import { quantile, summarize } from './summary.ts';

const attempts = { jail: 500, vm: 200 } as const;
const flood = { rate: 100_000, seconds: 10, ports: 25 } as const;
const connects = 2000;
/** Seconds after which a connect counts as not refused; a sender of SYN has tried four times by then. */
const refuseLimit = 8;

/** What 2,000 connects at once learnt, in milliseconds. */
type Refusals = { readonly p50: number; readonly p95: number; readonly unrefused: number };

/**
 * `npm run bench -- evidence`: how soon a refused packet is a line on the host's disk, whether a flood is accounted for to
 * the last packet, and how soon many connects at once learn that they are refused; beside the common layout.
 */
export const evidenceBenchmark: Benchmark = {
  name: 'evidence',
  summary:
    'latency of events (jail, VM; --no-vm), a flood that is accounted for, 2,000 refused connects; beside the common layout',
  options: { 'no-vm': { type: 'boolean' } },
  measure: async (values, say) => {
    const { path: folder } = await dir({ prefix: 'tapwarden-bench-' });
    try {
      return await measureAll(folder, values['no-vm'] !== true, say);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function measureAll(folder: string, withVm: boolean, say: (line: string) => void): Promise<Measured> {
  say(`${attempts.jail} attempts in a jail, one after another`);
  const jail = await measureLatency('jail', attempts.jail, folder);
  if (withVm) say(`${attempts.vm} attempts in a virtual machine`);
  const vm = withVm ? await measureLatency('vm', attempts.vm, folder) : undefined;
  say(`${connects} connects at once, in a jail and in the common layout`);
  const refusals = await refusalsInJail(folder);
  say(`a flood of ${flood.rate} packets a second for ${flood.seconds} s, in a jail and in the common layout`);
  const flooded = await measureFlood(flood, folder);
  const common = await inCommonLayout(measureCommon);
  return report({ jail, vm, refusals, flooded, common, machine: await describeMachine() });
}

async function refusalsInJail(folder: string): Promise<Refusals> {
  const running = runInSandbox('jail', await refuseProgram(), folder, 'refuse');
  const lines = await remainingLines(running);
  await running.end();
  return refusalsOf(lines);
}

async function refuseProgram() {
  return ['python3', '-c', await programText('refuse.py'), String(connects), String(refuseLimit)] as const;
}

function refusalsOf(lines: readonly string[]): Refusals {
  if (lines.length !== connects) throw new Error(`${lines.length} of ${connects} connects were told of`);
  // One that was not refused in time took at least the limit.
  const taken = lines.map(Number).map((ms) => (ms < 0 ? refuseLimit * 1000 : ms));
  const unrefused = lines.filter((line) => Number(line) < 0).length;
  return { p50: summarize(taken).median, p95: quantile(taken, 0.95), unrefused };
}

type Common = {
  readonly refusals: Refusals;
  readonly achieved: number;
  readonly refused: number;
  readonly logged: number;
};

async function measureCommon(layout: CommonLayout): Promise<Common> {
  const refusals = refusalsOf((await layout.run(await refuseProgram())).trimEnd().split('\n'));
  await layout.counts();
  const numbers = [flood.rate, flood.seconds, flood.ports].map(String);
  const line = await layout.run(['perl', '-e', await programText('flood.pl'), '--', ...numbers]);
  const { sent, tookMs } = readFlood(line.trim());
  return { refusals, achieved: (sent / tookMs) * 1000, ...(await layout.counts()) };
}

type All = {
  readonly jail: Latency;
  readonly vm: Latency | undefined;
  readonly refusals: Refusals;
  readonly flooded: Flood;
  readonly common: Common;
  readonly machine: string;
};

function report({ jail, vm, refusals, flooded, common, machine }: All): Measured {
  const commonRatio = common.logged / common.refused;
  const figures = {
    latency_ms_p50_jail: round(jail.p50),
    latency_ms_p99_jail: round(jail.p99),
    ...(vm === undefined ? {} : { latency_ms_p50_vm: round(vm.p50), latency_ms_p99_vm: round(vm.p99) }),
    latency_missing: jail.missing + (vm?.missing ?? 0),
    offered_per_s: Math.round(flooded.offered),
    achieved_per_s: Math.round(flooded.achieved),
    refused: flooded.refused,
    accounted_ratio: flooded.accountedRatio,
    supervisor_cores: round(flooded.supervisorCores),
    supervisor_rss_mib: Math.ceil(flooded.supervisorMiB),
    refuse_ms_p95: round(refusals.p95),
    unrefused: refusals.unrefused,
    achieved_per_s_common: Math.round(common.achieved),
    accounted_ratio_common: Number(commonRatio.toPrecision(3)),
    refuse_ms_p95_common: round(common.refusals.p95),
    unrefused_common: common.refusals.unrefused,
  };
  const latency = ({ p50, p99 }: Latency): string => `p50 ${round(p50)} ms, p99 ${round(p99)} ms`;
  const refused = ({ p50, p95, unrefused }: Refusals): string =>
    `p50 ${round(p50)} ms, p95 ${round(p95)} ms, ${unrefused} not within ${refuseLimit} s`;
  const rate = (achieved: number): string => `${thousands(flooded.offered)}, ${thousands(achieved)}`;
  return {
    figures,
    markdown: [
      `${machine}.`,
      '',
      '| what | tapwarden | the common layout |',
      '|---|---|---|',
      `| refused packet to line on the host's disk, jail (${jail.attempts} attempts) | ${latency(jail)} | no event of each packet |`,
      ...(vm === undefined
        ? []
        : [
            `| the same, virtual machine (${vm.attempts}; clocks compared to ${round(vm.clockErrorMs)} ms) | ${latency(vm)} | |`,
          ]),
      `| ${thousands(connects)} connects at once, until each is refused | ${refused(refusals)} | ${refused(common.refusals)} |`,
      `| flood for ${flood.seconds} s: packets a second offered, and sent | ${rate(flooded.achieved)} | ${rate(common.achieved)} |`,
      `| packets of it refused, and the share that the record tells of | ${thousands(flooded.refused)}, ${flooded.accountedRatio} (in ${thousands(flooded.events)} events) | ${thousands(common.refused)}, ${figures.accounted_ratio_common} (${common.logged} lines) |`,
      `| supervisor meanwhile | ${round(flooded.supervisorCores)} cores, ${figures.supervisor_rss_mib} MiB at most | |`,
    ],
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Example: `100000` is `100,000`. */
function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
