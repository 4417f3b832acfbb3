// The behaviour that every source has, whatever it reads from; each source's test runs this suite with a workplace.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Source, SourceState } from "../../controlplane/sources/source.js";

/** Where a suite's objects live, and the source that reads them. */
export interface Workplace {
  readonly source: Source;
  /** Makes or replaces the object of this name: a ServiceEntry with this host, or, where it is undefined, a faulty one. */
  put(name: string, host: string | undefined): Promise<void>;
  remove(name: string): Promise<void>;
  close(): Promise<void>;
}

/** Follows a source's states. */
export class Follower {
  readonly states: SourceState[] = [];
  private waiting: (() => void) | undefined;

  get latest(): SourceState {
    const state = this.states.at(-1);
    if (state === undefined) throw new Error("The source has not started.");
    return state;
  }

  readonly add = (state: SourceState): void => {
    this.states.push(state);
    this.waiting?.();
  };

  /** Resolves with the first state, the latest or one to come, of which the condition holds. */
  async until(condition: (state: SourceState) => boolean): Promise<SourceState> {
    while (!condition(this.latest)) {
      await new Promise<void>((resolve) => {
        this.waiting = resolve;
      });
    }
    return this.latest;
  }
}

export function key(name: string): string {
  return `ServiceEntry/default/${name}`;
}

export function hostOf(state: SourceState, name: string): string | undefined {
  const resource = state.resources.get(key(name));
  return resource?.kind === "ServiceEntry" ? resource.spec.hosts[0] : undefined;
}

export function testSource(name: string, createWorkplace: () => Promise<Workplace>): void {
  describe(`${name} as a source`, () => {
    let place: Workplace;
    let follower: Follower;

    beforeEach(async () => {
      place = await createWorkplace();
      follower = new Follower();
    });
    afterEach(() => place.close());

    async function start(): Promise<void> {
      follower.add(await place.source.start(follower.add));
    }

    test("the first state has every object and says that all of them changed", async () => {
      await place.put("a", "a.example.com");
      await place.put("b", "b.example.com");
      await start();
      expect([...follower.latest.resources.keys()].sort()).toEqual([key("a"), key("b")]);
      expect([...follower.latest.changed].sort()).toEqual([key("a"), key("b")]);
      expect(follower.latest.violations).toEqual([]);
    });

    test("nothing at all is a state without objects", async () => {
      await start();
      expect(follower.latest.resources.size).toBe(0);
      expect(follower.latest.changed.size).toBe(0);
    });

    test("a changed object is a new one, and every other keeps its identity", async () => {
      await place.put("a", "a.example.com");
      await place.put("b", "b.example.com");
      await start();
      const before = follower.latest;
      await place.put("a", "other.example.com");
      const after = await follower.until((state) => hostOf(state, "a") === "other.example.com");
      expect([...after.changed]).toEqual([key("a")]);
      expect(after.resources.get(key("b"))).toBe(before.resources.get(key("b")));
      expect(after.resources.get(key("a"))).not.toBe(before.resources.get(key("a")));
    });

    test("a new object comes in and a removed one goes", async () => {
      await place.put("a", "a.example.com");
      await start();
      await place.put("b", "b.example.com");
      const added = await follower.until((state) => state.resources.has(key("b")));
      expect([...added.changed]).toEqual([key("b")]);
      await place.remove("a");
      const removed = await follower.until((state) => !state.resources.has(key("a")));
      expect([...removed.changed]).toEqual([key("a")]);
      expect([...removed.resources.keys()]).toEqual([key("b")]);
    });

    test("an object that goes bad keeps its last good version, with the fault told, until it is good again", async () => {
      await place.put("a", "a.example.com");
      await start();
      const good = follower.latest.resources.get(key("a"));
      await place.put("a", undefined);
      const bad = await follower.until((state) => state.violations.length > 0);
      expect(bad.resources.get(key("a"))).toBe(good);
      expect(bad.changed.size).toBe(0);
      expect(bad.violations[0]).toMatchObject({
        severity: "error",
        kind: "ServiceEntry",
        namespace: "default",
        name: "a",
      });
      await place.put("a", "new.example.com");
      const repaired = await follower.until((state) => state.violations.length === 0);
      expect(hostOf(repaired, "a")).toBe("new.example.com");
    });

    test("an object that never was good is not served, and the others are", async () => {
      await place.put("a", undefined);
      await place.put("b", "b.example.com");
      await start();
      expect([...follower.latest.resources.keys()]).toEqual([key("b")]);
      expect(follower.latest.violations.length).toBeGreaterThan(0);
    });

    test("states, resources and violations are frozen", async () => {
      await place.put("a", "a.example.com");
      await place.put("b", undefined);
      await start();
      const { resources, violations } = follower.latest;
      expect(Object.isFrozen(follower.latest)).toBe(true);
      expect(Object.isFrozen(violations[0])).toBe(true);
      const resource = resources.get(key("a"));
      expect(resource?.kind === "ServiceEntry" && Object.isFrozen(resource.spec.hosts)).toBe(true);
    });

    test("a source can be closed before it starts, and while it follows changes", async () => {
      await place.put("a", "a.example.com");
      await start();
      await place.source.close();
      const states = follower.states.length;
      await place.put("a", "other.example.com");
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(follower.states.length).toBe(states);
    });
  });
}
