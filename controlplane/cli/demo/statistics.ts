// The bounds within which a random share counts as what was asked for. All of the demo's tolerances are here.

/** A split may be off by two points, as the project promises; 10,000 requests stray further once in 200,000 runs. */
export const SPLIT_TOLERANCE = 0.02;

/** How often a bound may be missed although all is well: once in a million. */
const FALSE_ALARM = 1e-6;

/**
 * The least and the most successes that n independent draws of probability p give, but for one in a million (half of those
 * on each side). Exact, by the binomial distribution.
 */
export function binomialRange(n: number, p: number): { readonly least: number; readonly most: number } {
  if (p <= 0) return { least: 0, most: 0 };
  if (p >= 1) return { least: n, most: n };
  let cumulative = 0;
  let logTerm = n * Math.log1p(-p);
  let least: number | undefined;
  for (let k = 0; k < n; k += 1) {
    cumulative += Math.exp(logTerm);
    if (least === undefined && cumulative > FALSE_ALARM / 2) least = k;
    if (cumulative >= 1 - FALSE_ALARM / 2) return { least: least ?? 0, most: k };
    logTerm += Math.log((n - k) / (k + 1)) + Math.log(p / (1 - p));
  }
  return { least: least ?? 0, most: n };
}
