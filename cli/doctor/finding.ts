/** How good a finding is: `missing` keeps sandboxes from running, `warn` does not. */
export type Level = 'ok' | 'warn' | 'missing';

/** What `tapwarden doctor` found of one thing. */
export type Finding = {
  readonly level: Level;
  /** The thing. Example: `qemu`. */
  readonly what: string;
  /** What was found. Example: `QEMU emulator version 7.2.22`. */
  readonly found: string;
  /** What to do about it; `null` where there is nothing to do. Example: `Install it: apt-get install nftables`. */
  readonly todo: string | null;
};

/** A finding that is as it should be. */
export const ok = (what: string, found: string): Finding => ({ level: 'ok', what, found, todo: null });

/** A finding that one should know of. */
export const warn = (what: string, found: string, todo: string | null = null): Finding => ({
  level: 'warn',
  what,
  found,
  todo,
});

/** A finding that keeps sandboxes from running. */
export const missing = (what: string, found: string, todo: string): Finding => ({
  level: 'missing',
  what,
  found,
  todo,
});

/** Says whether sandboxes can run: nothing that is needed is missing. */
export function isReady(findings: readonly Finding[]): boolean {
  return findings.every(({ level }) => level !== 'missing');
}

/**
 * The findings as a person reads them: a line for each, what to do in a line below, and a sum at the end. Example:
 * `ok       qemu              QEMU emulator version 7.2.22`.
 */
export function renderFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ what }) => what.length));
  const indent = ' '.repeat(9 + width + 2);
  const lines = findings.flatMap(({ level, what, found, todo }) => [
    `${level.padEnd(9)}${what.padEnd(width)}  ${found}`,
    ...(todo === null ? [] : [`${indent}> ${todo}`]),
  ]);
  return `${[...lines, '', sumOf(findings)].join('\n')}\n`;
}

function sumOf(findings: readonly Finding[]): string {
  const lacking = findings.filter(({ level }) => level === 'missing').map(({ what }) => what);
  if (lacking.length > 0) return `Sandboxes cannot run here. Missing: ${lacking.join(', ')}.`;
  const warnings = findings.filter(({ level }) => level === 'warn').length;
  return `Sandboxes can run here.${warnings === 0 ? '' : ` ${warnings} of ${findings.length} findings to know of.`}`;
}
