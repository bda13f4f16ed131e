/** The middle, the least and the greatest of some numbers. */
export type Summary = { readonly median: number; readonly min: number; readonly max: number };

/**
 * Sums numbers up. The median of an even number of them is the mean of the two in the middle. Example: `summarize([3,
 * 1, 2])` is `{median: 2, min: 1, max: 3}`.
 *
 * @throws RangeError when there is no number
 */
export function summarize(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.slice(Math.floor((sorted.length - 1) / 2), Math.floor(sorted.length / 2) + 1);
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (min === undefined || max === undefined) throw new RangeError('There is nothing to sum up');
  return { median: middle.reduce((sum, value) => sum + value, 0) / middle.length, min, max };
}

/**
 * The least of some numbers that is not less than the fraction `q` of them. Example: `quantile([1, 2, 3, 4], 0.5)` is 2.
 *
 * @throws RangeError when there is no number
 */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const found = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];
  if (found === undefined) throw new RangeError('There is nothing to sum up');
  return found;
}
