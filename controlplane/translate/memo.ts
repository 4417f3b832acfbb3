// Results that are kept from one translation to the next, for as long as what they depend on stays the same.
import type { Steps } from "../policy/steps.js";

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
  of<T>(key: string, dependencies: Dependencies, build: (before: T | undefined) => T): T {
    const { found, before, exact } = this.#look(key, dependencies);
    const entry = found ?? { cheap: dependencies.cheap, exact, value: build(before?.value as T | undefined) };
    return this.#keep(key, entry) as T;
  }

  /** As of(), for what is built in steps. */
  *steps<T>(key: string, dependencies: Dependencies, build: () => Steps<T>): Steps<T> {
    const { found, exact } = this.#look(key, dependencies);
    const entry = found ?? { cheap: dependencies.cheap, exact, value: yield* build() };
    return this.#keep(key, entry) as T;
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

  /** The kept entry, as `found` where its result still holds; else what the new one's exact dependencies are. */
  #look(key: string, { cheap, exact }: Dependencies) {
    const before = this.#used.get(key) ?? this.#kept.get(key);
    if (before && same(before.cheap, cheap)) return { found: before, before, exact: before.exact };
    const now = exact?.();
    if (!before?.exact || !now || !same(before.exact, now)) return { before, exact: now };
    before.cheap = cheap;
    return { found: before, before, exact: now };
  }

  #keep(key: string, entry: Entry): unknown {
    this.#used.set(key, entry);
    return entry.value;
  }
}

export function same(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
