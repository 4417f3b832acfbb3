// Several sources as one: it behaves as each of them does, and the earlier one wins.
import { unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createDirectorySource } from "../../controlplane/sources/directory.js";
import { createMergedSource } from "../../controlplane/sources/merged.js";
import type { Source } from "../../controlplane/sources/source.js";
import { entry, temporaryDirectory } from "./entries.js";
import { Follower, hostOf, key, testSource } from "./source-suite.js";

interface TwoDirectories {
  readonly source: Source;
  write(which: 0 | 1, name: string, host: string | undefined): Promise<void>;
  remove(which: 0 | 1, name: string): Promise<void>;
  close(): Promise<void>;
}

async function twoDirectories(): Promise<TwoDirectories> {
  const directories = [await temporaryDirectory(), await temporaryDirectory()];
  const source = createMergedSource(
    directories.map(({ directory }) => createDirectorySource({ directory, defaultNamespace: "default" })),
  );
  const path = (which: 0 | 1, name: string) => join(directories[which]?.directory as string, `${name}.yaml`);
  return {
    source,
    write: (which, name, host) => writeFile(path(which, name), entry(name, host)),
    remove: (which, name) => unlink(path(which, name)),
    async close() {
      await source.close();
      for (const { remove } of directories) await remove();
    },
  };
}

testSource("two directories", async () => {
  const { source, write, remove, close } = await twoDirectories();
  return { source, put: (name, host) => write(1, name, host), remove: (name) => remove(1, name), close };
});

describe("two directories", () => {
  let place: TwoDirectories;
  let follower: Follower;

  beforeEach(async () => {
    place = await twoDirectories();
    follower = new Follower();
  });
  afterEach(() => place.close());

  test("serve the earlier one's object, tell of the later one's, and serve that when the first is gone", async () => {
    await place.write(0, "a", "first.example.com");
    await place.write(1, "a", "second.example.com");
    await place.write(1, "b", "b.example.com");
    follower.add(await place.source.start(follower.add));
    expect(hostOf(follower.latest, "a")).toBe("first.example.com");
    const told = { code: "duplicate-object", severity: "error", kind: "ServiceEntry", name: "a" };
    expect(follower.latest.violations).toMatchObject([told]);
    await place.remove(0, "a");
    const after = await follower.until((state) => hostOf(state, "a") === "second.example.com");
    expect([...after.changed]).toEqual([key("a")]);
    expect(after.violations).toEqual([]);
  });

  test("tell of a change to an object that is not served, but not that what is served changed", async () => {
    await place.write(0, "a", "first.example.com");
    await place.write(1, "b", "b.example.com");
    follower.add(await place.source.start(follower.add));
    const served = follower.latest.resources.get(key("a"));
    await place.write(1, "a", "second.example.com");
    const after = await follower.until((state) => state.violations.length > 0);
    expect(after.changed.size).toBe(0);
    expect(after.resources.get(key("a"))).toBe(served);
    await place.remove(1, "a");
    await follower.until((state) => state.violations.length === 0);
  });
});
