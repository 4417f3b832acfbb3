// What is said of several measurements.

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value that the given part of the values does not exceed; NaN of none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN;
}
