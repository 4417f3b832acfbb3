// The behaviour of the registry on every store of versions; each store's test runs this suite with a workplace.
import { beforeEach, describe, expect, it } from "vitest";
import { FilterRegistry, type PushRequest } from "../../controlplane/registry/registry.js";
import type { VersionStore } from "../../controlplane/registry/version-store.js";
import { withCustomSection } from "../../controlplane/registry/wasm-sections.js";
import { sameFilter, TRIAL_THREAD, trafficModule } from "../harness/filter-modules.js";

/** An empty store, and what happens to it behind its back. */
export interface StoreWorkplace {
  readonly versions: VersionStore;
  /** Puts other bytes in the place of a version's, or another text in the place of its record. */
  damage(name: string, version: string, what: "module" | "record"): Promise<void>;
  /** Leaves what a push leaves that is killed before its end. */
  leaveUnfinished(): Promise<void>;
  /** How many files or objects there are, whatever they are. */
  count(): Promise<number>;
}

/** More than one chunk, where there are chunks. */
const LARGE = 1_900_000;

export function testVersionStore(name: string, open: () => Promise<StoreWorkplace>): void {
  describe(`the registry in ${name}`, () => {
    let place: StoreWorkplace;
    let registry: FilterRegistry;
    const push = (wasm: Uint8Array, more: Partial<PushRequest> = {}) =>
      registry.push({ name: "traffic", version: "1", by: "a test", thread: TRIAL_THREAD, wasm, ...more });

    beforeEach(async () => {
      place = await open();
      registry = new FilterRegistry(place.versions);
    });

    it("takes the traffic filter and tells all of it", async () => {
      const pushed = await push(trafficModule());
      expect(pushed).toMatchObject({ value: { name: "traffic", version: "1", abi: "0.2.1", addedBy: "a test" } });
      expect(await registry.list()).toEqual(["value" in pushed && pushed.value]);
      expect(await registry.show("traffic", "1")).toEqual(pushed);
      expect(await registry.module("traffic", "1")).toEqual({ value: trafficModule() });
    });

    it("gives back a large module byte for byte, under a name with all that a name may have", async () => {
      const bytes = Buffer.from(Array.from({ length: LARGE }, (_, i) => (i * 31) & 0xff));
      const wasm = withCustomSection(trafficModule(), "headgate.test", bytes);
      const named = { name: "a.b-c", version: "1.0.0-Rc_1+build.7" };
      expect(await push(wasm, named)).toMatchObject({ value: { size: wasm.length } });
      const found = await registry.module(named.name, named.version);
      expect("value" in found && wasm.equals(found.value)).toBe(true);
    });

    it("never changes a version", async () => {
      await push(trafficModule());
      expect(await push(sameFilter("other"))).toMatchObject({ fault: { code: "filter-version-exists" } });
      expect(await registry.module("traffic", "1")).toEqual({ value: trafficModule() });
    });

    it("lets one of many simultaneous pushes of a version win, and keeps nothing of the others", async () => {
      await push(sameFilter("z"), { version: "2" });
      const ofOne = await place.count();
      const all = await Promise.all(["a", "b", "c", "d"].map((label) => push(sameFilter(label))));
      expect(all.filter((pushed) => "value" in pushed)).toHaveLength(1);
      expect(await registry.module("traffic", "1")).toHaveProperty("value");
      expect(await place.count()).toBe(2 * ofOne);
    });

    it("does not see what was left unfinished, takes the version again, and sweeps the rest away when it is old", async () => {
      await place.leaveUnfinished();
      const left = await place.count();
      expect(left).toBeGreaterThan(0);
      expect(await registry.list()).toEqual([]);
      expect(await push(trafficModule())).toHaveProperty("value");
      const all = await place.count();
      await registry.collect("traffic", 5, new Set());
      expect(await place.count()).toBe(all);
      await place.versions.sweep(0);
      expect(await place.count()).toBe(all - left);
      expect(await registry.module("traffic", "1")).toEqual({ value: trafficModule() });
    });

    it("notices a module that is another than was pushed, and a record that is none", async () => {
      for (const version of ["1", "2", "3"]) await push(sameFilter(version), { version });
      await place.damage("traffic", "1", "module");
      await place.damage("traffic", "2", "record");
      expect(await registry.module("traffic", "1")).toMatchObject({ fault: { code: "filter-damaged" } });
      expect(await registry.module("traffic", "2")).toMatchObject({ fault: { code: "filter-damaged" } });
      expect(await registry.show("traffic", "2")).toMatchObject({ fault: { code: "filter-damaged" } });
      expect((await registry.list()).map(({ version }) => version)).toEqual(["1", "3"]);
      expect(await push(sameFilter("2"), { version: "2" })).toMatchObject({ fault: { code: "filter-version-exists" } });
    });

    it("gives no other module under the name of one that was chosen, though all of it was replaced", async () => {
      const pushed = await push(sameFilter("1"));
      const chosen = "value" in pushed ? pushed.value.sha256 : "";
      expect(await registry.module("traffic", "1", chosen)).toEqual({ value: sameFilter("1") });
      await registry.remove("traffic", "1");
      await push(sameFilter("other"));
      expect(await registry.module("traffic", "1", chosen)).toMatchObject({ fault: { code: "filter-damaged" } });
    });

    it("keeps the newest versions and those in use, and nothing of the others", async () => {
      for (const version of ["1", "2", "3", "4"]) await push(sameFilter(version), { version });
      const ofOne = (await place.count()) / 4;
      expect(await registry.collect("traffic", 2, new Set(["1"]))).toEqual(["2"]);
      expect((await registry.list()).map(({ version }) => version)).toEqual(["1", "3", "4"]);
      expect(await registry.remove("traffic", "3")).toHaveProperty("value");
      expect(await registry.remove("traffic", "3")).toMatchObject({ fault: { code: "filter-not-found" } });
      expect(await registry.module("traffic", "3")).toMatchObject({ fault: { code: "filter-not-found" } });
      expect(await place.count()).toBe(2 * ofOne);
    });
  });
}
