import { TapwardenError } from '../base/errors.ts';
import { escapeText } from '../base/escape.ts';
import type { Refused } from './model.ts';

/** A place in a policy. */
export type Place = {
  /** Keys and indices from the top. Example: `'rules[0].hosts[1]'`; the top itself is `''`. */
  readonly path: string;
  /** 1-based; missing where the policy did not come from text. */
  readonly line?: number;
  /** 1-based, in UTF-16 units. */
  readonly column?: number;
};

/** One thing that is wrong in a policy. Message and hint are safe to print. */
export type Problem = Place & { readonly message: string; readonly hint?: string };

/** Everything that is wrong in one policy, in the order in which it was found. */
export type Problems = {
  readonly add: (place: Place, refused: Omit<Refused, 'kind'>) => void;
  /**
   * Returns `value`, which stands only if nothing was wrong.
   *
   * @throws POLICY_INVALID when a problem was added; the first one of the file stands in the message's first line
   * @throws BUG when there is neither a problem nor a value
   */
  readonly finish: <T>(value: T | undefined) => T;
};

/** More than a person reads; keeps the error small for a file that is not a policy at all. */
const maxKept = 100;

/** Begins a collection of problems for the policy of `file`, which is a path or another name for people. */
export function collectProblems(file: string): Problems {
  const kept: Problem[] = [];
  let count = 0;
  return {
    add: ({ path, line, column }, { message, hint }) => {
      count += 1;
      if (kept.length >= maxKept) return;
      kept.push({
        path,
        ...(line === undefined ? {} : { line }),
        ...(column === undefined ? {} : { column }),
        message,
        ...(hint === undefined ? {} : { hint }),
      });
    },
    finish: (value) => {
      if (count > 0) throw policyInvalid(file, kept, count);
      if (value !== undefined) return value;
      throw new TapwardenError('BUG', { message: `${escapeText(file, 400)} gave neither a policy nor a problem` });
    },
  };
}

function policyInvalid(file: string, kept: readonly Problem[], count: number): TapwardenError {
  const problems = kept.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
  const first = problems[0];
  const only = problems.length === 1 ? first : undefined;
  const lines = problems.map((problem) => lineOf(file, problem, problem !== only));
  if (count > problems.length) lines.push(`… and ${count - problems.length} more problems`);
  return new TapwardenError('POLICY_INVALID', {
    message: lines.join('\n'),
    ...(only?.hint === undefined ? {} : { hint: only.hint }),
    details: { file, line: first?.line, column: first?.column, path: first?.path, problems, count },
  });
}

function lineOf(file: string, { line, column, path, message, hint }: Problem, withHint: boolean): string {
  const where = line === undefined ? escapeText(file, 400) : `${escapeText(file, 400)}:${line}:${column}`;
  const what = path === '' ? message : `${path}: ${message}`;
  return withHint && hint !== undefined ? `${where}: ${what}\n  ${hint}` : `${where}: ${what}`;
}
