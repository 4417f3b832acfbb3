// Whatever comes when, a proxy ends with what it should have, and no request would have failed on the way.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { delta } from "../../controlplane/xds/delta.js";
import {
  CLUSTER,
  DEFAULT_ORDER,
  defaultDependents,
  ENDPOINTS,
  LISTENER,
  ROUTES,
} from "../../controlplane/xds/order.js";
import type { AnyRequest, Protocol, Response } from "../../controlplane/xds/protocol.js";
import { Session, type SessionOptions } from "../../controlplane/xds/session.js";
import type { Snapshot } from "../../controlplane/xds/snapshot.js";
import { sotw } from "../../controlplane/xds/sotw.js";
import { ModelProxy, type ModelTraits } from "./support/model-proxy.js";
import { snapshot } from "./support/resources.js";

const OPTIONS: SessionOptions = {
  order: DEFAULT_ORDER,
  dependents: defaultDependents,
  quietMillis: 10,
  maxQuietMillis: 100,
  answerMillis: 2_000,
  removalDelayMillis: 50,
  maxResponseBytes: 150,
  maxTypes: 10,
  maxNames: 1_000,
  maxNameLength: 100,
};

/** Versions per cluster, endpoints and route; what is not in `clusters` does not exist. */
const configuration = fc.record({
  clusters: fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.nat(2), { minKeys: 1 }),
  endpoints: fc.nat(2),
  routes: fc.array(fc.tuple(fc.nat(3), fc.nat(2)), { minLength: 1, maxLength: 3 }),
});

const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ publish: configuration }) },
  { weight: 4, arbitrary: fc.constant("server sends" as const) },
  { weight: 4, arbitrary: fc.constant("proxy reads" as const) },
  { weight: 4, arbitrary: fc.constant("server reads" as const) },
  { weight: 2, arbitrary: fc.constant("time passes" as const) },
  { weight: 1, arbitrary: fc.constant("reconnect" as const) },
);

type Configuration = typeof configuration extends fc.Arbitrary<infer T> ? T : never;
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** So many are kept in ways of their own: as bits, and in runs that streams share. */
const MANY = 700;
const MANY_OPTIONS: SessionOptions = { ...OPTIONS, maxResponseBytes: 150_000 };
const MORE = Object.fromEntries(Array.from({ length: MANY }, (_, index) => [`more-${index}`, 1]));

/** Listeners lead to routes and routes to clusters that exist, each with endpoints: consistent, as snapshots must be. */
function toSnapshot({ clusters, endpoints, routes }: Configuration, more: Record<string, number> = {}): Snapshot {
  const names = Object.keys(clusters);
  const all = { ...clusters, ...more };
  return snapshot({
    [CLUSTER]: Object.fromEntries(Object.entries(all).map(([name, version]) => [name, `${version}`])),
    [ENDPOINTS]: Object.fromEntries(Object.keys(all).map((name) => [name, `${endpoints}`])),
    [LISTENER]: Object.fromEntries(routes.map((_, index) => [`l${index}`, `r${index}#1`])),
    [ROUTES]: Object.fromEntries(
      routes.map(([target, version], index) => [`r${index}`, `${names[target % names.length]}#${version}`]),
    ),
  });
}

/** A session and a proxy, with what is on the wire between them. */
class Play {
  readonly proxy: ModelProxy;
  #session: Session<AnyRequest>;
  #now = 0;
  #newest: Snapshot;
  #toServer: AnyRequest[] = [];
  #toProxy: Response[] = [];
  #sessions = 0;

  constructor(
    readonly traits: ModelTraits,
    first: Configuration,
    readonly options = OPTIONS,
    readonly more: Record<string, number> = {},
  ) {
    this.proxy = new ModelProxy(traits);
    this.#newest = toSnapshot(first, more);
    this.#session = this.#connect();
  }

  take(next: Step): void {
    if (next === "server sends") this.#serverSends();
    else if (next === "proxy reads") this.#proxyReads();
    else if (next === "server reads") this.#serverReads();
    else if (next === "time passes") this.#timePasses(7);
    else if (next === "reconnect") this.#reconnect();
    else this.#publish(toSnapshot(next.publish, this.more));
  }

  /**
   * Lets everything that is under way arrive, and whatever the server waits for in vain time out. Returns how many
   * steps that took, or undefined if it never ended.
   */
  settle(): number | undefined {
    let quiet = 0;
    for (let steps = 0; steps < 2_000; steps++) {
      const moved = this.#serverReads() || this.#serverSends() || this.#proxyReads();
      if (moved) quiet = 0;
      else this.#timePasses(++quiet % 20 === 0 ? OPTIONS.answerMillis : 7);
      if (quiet > 60) return steps;
    }
    return undefined;
  }

  get newest(): Snapshot {
    return this.#newest;
  }

  get session(): Session<AnyRequest> {
    return this.#session;
  }

  #connect(): Session<AnyRequest> {
    const protocol = (this.traits.variant === "delta" ? delta : sotw) as unknown as Protocol<AnyRequest>;
    const session = new Session(protocol, `${++this.#sessions}-`, false, this.options);
    session.offer(this.#newest, this.#now);
    this.#toServer = this.proxy.connect();
    this.#toProxy = [];
    return session;
  }

  /** State of the world has no way to tell a new server what the proxy has, so only delta can be seamless. */
  #reconnect(): void {
    if (this.traits.variant === "delta") this.#session = this.#connect();
  }

  #publish(next: Snapshot): void {
    this.#newest = next;
    this.#session.offer(next, this.#now);
  }

  #serverSends(): boolean {
    const response = this.#session.next(this.#now);
    if (response === undefined) return false;
    this.#toProxy.push(response);
    return true;
  }

  #serverReads(): boolean {
    const request = this.#toServer.shift();
    if (request === undefined) return false;
    const outcome = this.#session.receive(request, this.#now);
    if (outcome !== undefined && "refusal" in outcome) throw new Error(outcome.refusal.message);
    return true;
  }

  #proxyReads(): boolean {
    const response = this.#toProxy.shift();
    if (response === undefined) return false;
    this.#toServer.push(...this.proxy.apply(response));
    return true;
  }

  /** What the proxy says on connecting is with the server before any delay ends. */
  #timePasses(millis: number): void {
    while (this.#serverReads());
    this.#now += millis;
  }
}

function expected(newest: Snapshot, proxy: ModelProxy): Record<string, string[]> {
  const clusters = [...(newest.resources.get(CLUSTER)?.keys() ?? [])];
  const routes = [...(newest.resources.get(LISTENER)?.values() ?? [])].map(({ version }) => version.split("#")[0]);
  const wanted = (typeUrl: string, name: string) =>
    typeUrl === ENDPOINTS ? clusters.includes(name) : typeUrl === ROUTES ? routes.includes(name) : true;
  return Object.fromEntries(
    [...proxy.held.keys()].map((typeUrl) => [
      typeUrl,
      [...(newest.resources.get(typeUrl)?.values() ?? [])]
        .filter(({ name }) => wanted(typeUrl, name))
        .map(({ name, version }) => `${name}@${version}`)
        .sort(),
    ]),
  );
}

function actual(proxy: ModelProxy): Record<string, string[]> {
  return Object.fromEntries(
    [...proxy.held].map(([typeUrl, held]) => [typeUrl, [...held].map((entry) => entry.join("@")).sort()]),
  );
}

describe.each(["delta", "sotw"] as const)("%s", (variant) => {
  test.each([true, false])("a proxy converges without a failed request (acknowledges warm: %s)", (acknowledgesWarm) => {
    fc.assert(
      fc.property(configuration, fc.array(step, { maxLength: 120 }), (first, steps) => {
        const play = new Play({ variant, acknowledgesWarm, rejects: () => false }, first);
        for (const next of steps) play.take(next);
        expect(play.settle()).toBeDefined();
        expect(play.proxy.faults).toEqual([]);
        expect(actual(play.proxy)).toEqual(expected(play.newest, play.proxy));
        expect(play.session.status().map(({ state }) => state)).not.toContain("stale");
      }),
      { seed: 20_260_101, numRuns: 400 },
    );
  });

  test("a proxy of hundreds of clusters converges without a failed request", () => {
    fc.assert(
      fc.property(configuration, fc.array(step, { maxLength: 60 }), fc.boolean(), (first, steps, acknowledgesWarm) => {
        const play = new Play({ variant, acknowledgesWarm, rejects: () => false }, first, MANY_OPTIONS, MORE);
        for (const next of steps) play.take(next);
        expect(play.settle()).toBeDefined();
        expect(play.proxy.faults).toEqual([]);
        expect(actual(play.proxy)).toEqual(expected(play.newest, play.proxy));
        expect(play.session.status().map(({ state }) => state)).not.toContain("stale");
        for (const { typeUrl, resources } of play.session.status()) {
          expect(resources).toBe(play.proxy.held.get(typeUrl)?.size);
        }
      }),
      { seed: 20_260_103, numRuns: 20 },
    );
  });

  test("rejections never loop, and what was not rejected arrives", () => {
    fc.assert(
      fc.property(configuration, fc.array(step, { maxLength: 120 }), (first, steps) => {
        const rejects = (version: string) => version === "2" || version.endsWith("#2");
        const play = new Play({ variant, acknowledgesWarm: false, rejects }, first);
        for (const next of steps) play.take(next);
        expect(play.settle()).toBeDefined();
        const valid = (entries: string[] = []) => entries.filter((entry) => !/[@#]2$/.test(entry));
        const want = expected(play.newest, play.proxy);
        const got = actual(play.proxy);
        for (const typeUrl of [CLUSTER, LISTENER]) {
          expect(got[typeUrl]).toEqual(expect.arrayContaining(valid(want[typeUrl])));
        }
      }),
      { seed: 20_260_102, numRuns: 400 },
    );
  });
});
