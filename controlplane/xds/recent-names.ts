// Long lists of names that clients sent lately. Proxies of one view ask for the same thousands of names in the same bytes;
// those who do share one list, and with it what is worked out of the list.

/** Shorter lists are not worth a look. */
const LEAST_BYTES = 16_384;
/** Of all lists together. */
const MOST_BYTES = 8 * 1024 * 1024;

interface Entry {
  readonly bytes: Buffer;
  readonly names: readonly string[];
}

/** The last used come last. */
let entries: readonly Entry[] = [];

/** The list that others got from the same bytes, or else this one. names: all that the bytes say. */
export function sharedNames(bytes: Buffer, names: readonly string[]): readonly string[] {
  if (bytes.length < LEAST_BYTES || bytes.length > MOST_BYTES) return names;
  const found = entries.find((entry) => entry.bytes.equals(bytes));
  const entry = found ?? { bytes: Buffer.from(bytes), names };
  entries = withinBounds([...entries.filter((other) => other !== entry), entry]);
  return entry.names;
}

/** Without the first ones, where all together are too large. */
function withinBounds(all: readonly Entry[]): readonly Entry[] {
  let bytes = 0;
  const first = all.findLastIndex((entry) => {
    bytes += entry.bytes.length;
    return bytes > MOST_BYTES;
  });
  return all.slice(first + 1);
}
