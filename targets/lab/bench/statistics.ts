/** Small statistics for benches: medians, and a straight line through points with its uncertainty. */

/** Returns the value below which the share `part` (0 to 1) of `values` lies. `values` must not be empty. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * part;
  const low = sorted[Math.floor(at)]!;
  const high = sorted[Math.ceil(at)]!;
  return low + (high - low) * (at - Math.floor(at));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** A slope and half the width of its 95 % confidence interval. */
export interface Slope {
  readonly slope: number;
  readonly halfWidth: number;
}

/**
 * Fits a line by least squares. The interval is for independent errors and the number of points used here (20 and
 * more), where Student's t is within 5 % of 2.
 */
export function slopeOf(xs: readonly number[], ys: readonly number[]): Slope {
  const count = xs.length;
  if (count < 20) throw new RangeError(`${count} points: a slope needs 20`);
  const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / count;
  const [meanX, meanY] = [meanOf(xs), meanOf(ys)];
  let [spread, shared] = [0, 0];
  for (const [index, x] of xs.entries()) {
    spread += (x - meanX) ** 2;
    shared += (x - meanX) * (ys[index]! - meanY);
  }
  const slope = shared / spread;
  let left = 0;
  for (const [index, x] of xs.entries()) left += (ys[index]! - meanY - slope * (x - meanX)) ** 2;
  return { slope, halfWidth: STUDENT_T * Math.sqrt(left / (count - 2) / spread) };
}

/** Two-sided 95 % of Student's t at 18 degrees of freedom, the fewest here: never too narrow. */
const STUDENT_T = 2.101;
