// Results that are kept from one translation to the next, for as long as what they depend on stays the same.

interface Entry {
  cheap: readonly unknown[];
  exact: readonly unknown[] | undefined;
  readonly value: unknown;
}

/**
 * What a result depends on, compared by identity. `cheap` is looked at first: while it is the same, so is the result.
 * Where it differs, `exact` is computed, which may be the same all the same.
 */
export interface Dependencies {
  readonly cheap: readonly unknown[];
  readonly exact?: () => readonly unknown[];
}

/** Not a cache of guesses: a result is only given again where building it anew would give an equal one. */
export class Memo {
  #kept = new Map<string, Entry>();
  #used = new Map<string, Entry>();

  /** `build` is told what the last result was, so that it can take over parts of it. */
  of<T>(key: string, { cheap, exact }: Dependencies, build: (before: T | undefined) => T): T {
    const known = this.#used.get(key) ?? this.#kept.get(key);
    if (known && same(known.cheap, cheap)) return this.#keep(key, known) as T;
    const now = exact?.();
    if (known?.exact && now && same(known.exact, now)) {
      known.cheap = cheap;
      return this.#keep(key, known) as T;
    }
    return this.#keep(key, { cheap, exact: now, value: build(known?.value as T | undefined) }) as T;
  }

  /** A list that is found again when `cheap` changes, and stays the same array while its elements do. */
  list<T>(key: string, cheap: readonly unknown[], find: () => readonly T[]): readonly T[] {
    let found: readonly T[] = [];
    const exact = () => {
      found = find();
      return found;
    };
    return this.of(key, { cheap, exact }, () => found);
  }

  /** Forgets what was not asked for since the last call. */
  sweep(): void {
    this.#kept = this.#used;
    this.#used = new Map();
  }

  #keep(key: string, entry: Entry): unknown {
    this.#used.set(key, entry);
    return entry.value;
  }
}

function same(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
