// What a client is about to ask for because of what it was sent, so that routes wait for it too. No I/O.
import { dependentNames } from "./dependent-names.js";
import type { ResourceMap } from "./difference.js";
import { Names } from "./names.js";
import type { Dependent, Dependents } from "./order.js";
import type { TypeUrl } from "./snapshot.js";
import type { Subscription } from "./subscription.js";

/** Names to look at. */
export type NameSet = Pick<Names, "has" | "keys" | typeof Symbol.iterator>;

interface Expectation {
  readonly names: Names;
  deadline: number;
}

const NO_NAMES: NameSet = new Names();

export class Expectations {
  readonly #byType = new Map<TypeUrl, Expectation>();
  /** Types that were expected in vain: the client does not use them. */
  readonly #unused = new Set<TypeUrl>();

  constructor(
    readonly dependents: Dependents,
    readonly millis: number,
  ) {}

  /**
   * A resource of the type went out anew. What depends on it and exists is sent again if the client is subscribed to
   * it already, because it will not ask (a cluster that changed warms anew), and is expected to be asked for if not.
   */
  follow(
    typeUrl: TypeUrl,
    names: readonly string[],
    lookUp: (typeUrl: TypeUrl) => { readonly subscription: Subscription | undefined; readonly resources: ResourceMap },
    now: number,
  ): void {
    const resourcesOf = (type: TypeUrl) => lookUp(type).resources;
    for (const [type, found] of dependentNames(this.dependents, typeUrl, names, resourcesOf)) {
      const { subscription } = lookUp(type);
      const isCovered = subscription?.wildcard || subscription?.names.hasAll(found.names);
      subscription?.asked.follow(found.resources, found.names.length);
      if (isCovered) subscription?.asked.addAll(found.names);
      else if (found.names.length > 0) {
        const covered = subscription?.names;
        if (covered) subscription.asked.addAll(found.names, { set: covered, isIn: true });
        const expected = this.#expectationOf(type, found.resources, found.names.length, now);
        expected?.addAll(found.names, covered && { set: covered, isIn: false });
      }
    }
  }

  /** The client rejected these, and may never ask for what depends on them. */
  cancel(typeUrl: TypeUrl, names: readonly string[]): void {
    for (const name of names) {
      const dependents = this.dependents(typeUrl, name);
      if (dependents === undefined) continue;
      const expected = this.names(dependents.typeUrl);
      for (const dependent of namesOf(dependents, expected)) this.#drop(dependents.typeUrl, dependent);
    }
  }

  /** The client changed a subscription: what it covers is no longer expected, it is there. */
  fulfil(subscription: Subscription): void {
    const { typeUrl, wildcard, names } = subscription;
    this.#unused.delete(typeUrl);
    const expected = this.#byType.get(typeUrl)?.names;
    if (wildcard) expected?.clear();
    else expected?.deleteAll(names);
    if (expected?.size === 0) this.#byType.delete(typeUrl);
  }

  names(typeUrl: TypeUrl): NameSet {
    return this.#byType.get(typeUrl)?.names ?? NO_NAMES;
  }

  /** The types still expected. One that its deadline passed by is not expected again until it is asked for. */
  types(now: number): TypeUrl[] {
    for (const [typeUrl, { deadline }] of this.#byType) {
      if (now < deadline) continue;
      this.#byType.delete(typeUrl);
      this.#unused.add(typeUrl);
    }
    return [...this.#byType.keys()];
  }

  get deadlines(): number[] {
    return [...this.#byType.values()].map(({ deadline }) => deadline);
  }

  /** The names that are expected of a type, one more from now on and soon about so many; undefined when it is not used. */
  #expectationOf(typeUrl: TypeUrl, resources: ResourceMap, count: number, now: number): Names | undefined {
    if (this.#unused.has(typeUrl)) return undefined;
    const known = this.#byType.get(typeUrl) ?? { names: new Names(), deadline: now };
    known.names.follow(resources, count);
    known.deadline = now + this.millis;
    this.#byType.set(typeUrl, known);
    return known.names;
  }

  #drop(typeUrl: TypeUrl, name: string): void {
    const expectation = this.#byType.get(typeUrl);
    if (expectation?.names.delete(name) && expectation.names.size === 0) this.#byType.delete(typeUrl);
  }
}

function namesOf(dependent: Dependent, all: { keys(): Iterable<string> }): readonly string[] {
  return "names" in dependent ? dependent.names : [...all.keys()].filter((name) => name.startsWith(dependent.prefix));
}
