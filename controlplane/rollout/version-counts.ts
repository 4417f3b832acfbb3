// How many proxies run which version of a filter, as control planes tell it to each other and to people. Pure.

export interface VersionCount {
  readonly filter: string;
  /** What these proxies should have, and what they were last seen to have taken. */
  readonly assigned: string;
  readonly running: string;
  readonly proxies: number;
}

/** One count for each filter and pair of versions, in a lasting order. */
export function sumCounts(counts: readonly VersionCount[]): readonly VersionCount[] {
  const sums = new Map<string, VersionCount>();
  for (const count of counts) {
    const key = JSON.stringify([count.filter, count.running, count.assigned]);
    sums.set(key, { ...count, proxies: count.proxies + (sums.get(key)?.proxies ?? 0) });
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum);
}

export function encodeCounts(counts: readonly VersionCount[]): string {
  return JSON.stringify(counts.map(({ filter, assigned, running, proxies }) => [filter, assigned, running, proxies]));
}

/** Undefined for what are no counts. */
export function decodeCounts(text: string): readonly VersionCount[] | undefined {
  try {
    return (JSON.parse(text) as unknown[][]).map(([filter, assigned, running, proxies]) => {
      const isCount = Number.isSafeInteger(proxies) && Number(proxies) > 0;
      if (!isCount || [filter, assigned, running].some((name) => typeof name !== "string"))
        throw new Error("that is no count");
      return { filter, assigned, running, proxies } as VersionCount;
    });
  } catch {
    return undefined;
  }
}
