// The directory source against a real file system: what editors, tools and mounts do to files must lose nothing.
import { chmod, mkdir, readFile, rename, rm, symlink, truncate, unlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createDirectorySource } from "../../controlplane/sources/directory.js";
import type { Source, SourceState } from "../../controlplane/sources/source.js";
import { entry, temporaryDirectory } from "./entries.js";
import { Follower, hostOf, key, testSource } from "./source-suite.js";

/** Milliseconds: longer than any of these tests takes from one write to the next. */
const A_MINUTE = 60_000;

testSource("a directory", async () => {
  const { directory, remove } = await temporaryDirectory();
  const source = createDirectorySource({ directory, defaultNamespace: "default" });
  return {
    source,
    put: (name, host) => writeFile(join(directory, `${name}.yaml`), entry(name, host)),
    remove: (name) => unlink(join(directory, `${name}.yaml`)),
    async close() {
      await source.close();
      await remove();
    },
  };
});

describe("a directory source", () => {
  let directory: string;
  let remove: () => Promise<void>;
  let source: Source;
  let follower: Follower;

  beforeEach(async () => {
    ({ directory, remove } = await temporaryDirectory());
    follower = new Follower();
  });
  afterEach(async () => {
    await source.close();
    await remove();
  });

  async function start(options: { pollMs?: number; settleMs?: number } = {}): Promise<SourceState> {
    source = createDirectorySource({ directory, defaultNamespace: "default", ...options });
    const state = await source.start(follower.add);
    follower.add(state);
    return state;
  }

  async function write(name: string, text: string): Promise<void> {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }

  /** Waits until the source has surely seen what was done before: a marker that is made after it. */
  async function settle(): Promise<void> {
    const marker = `marker-${follower.states.length}-${Math.floor(performance.now())}`;
    await write(`${marker}.yaml`, entry(marker, "marker.example.com"));
    await follower.until((state) => state.resources.has(key(marker)));
  }

  /** Every object of that name in every state so far was this one. */
  function alwaysServed(name: string, from = 0): void {
    for (const state of follower.states.slice(from)) expect(state.resources.has(key(name))).toBe(true);
  }

  describe("finds", () => {
    test("files of YAML and JSON in all directories, and nothing else", async () => {
      await write("a.yaml", entry("a", "a"));
      await write("sub/deep/b.yml", entry("b", "b"));
      const json = {
        apiVersion: "networking.istio.io/v1",
        kind: "ServiceEntry",
        metadata: { name: "c" },
        spec: { hosts: ["c"] },
      };
      await write("c.json", JSON.stringify(json));
      await write("notes.txt", "nothing: [");
      await write(".hidden.yaml", entry("d", "d"));
      await write(".git/e.yaml", entry("e", "e"));
      await write("backup.yaml~", entry("f", "f"));
      const state = await start();
      expect([...state.resources.keys()]).toEqual([key("a"), key("c"), key("b")]);
      expect(state.violations).toEqual([]);
    });

    test("several documents and Lists in a file, with namespaces of their own", async () => {
      await write(
        "a.yaml",
        `${entry("a", "a")}---\n${entry("b", "b").replace("name: b", "name: b, namespace: other").replace("metadata:\n  ", "metadata: {").replace("other\n", "other}\n")}`,
      );
      const state = await start();
      expect([...state.resources.keys()]).toEqual([key("a"), "ServiceEntry/other/b"]);
    });

    test("a new directory with files in it", async () => {
      await start();
      await write("new/deep/a.yaml", entry("a", "a"));
      await follower.until((state) => hostOf(state, "a") === "a");
      await write("new/deep/a.yaml", entry("a", "changed"));
      await follower.until((state) => hostOf(state, "a") === "changed");
    });

    test("a directory that was moved in", async () => {
      await start();
      const elsewhere = await temporaryDirectory();
      await mkdir(join(elsewhere.directory, "set"));
      await writeFile(join(elsewhere.directory, "set", "a.yaml"), entry("a", "a"));
      await rename(join(elsewhere.directory, "set"), join(directory, "set"));
      await follower.until((state) => hostOf(state, "a") === "a");
      await elsewhere.remove();
    });

    test("no end in links that lead in a circle, and says so of those that lead to no file", async () => {
      await write("sub/a.yaml", entry("a", "a"));
      await symlink("..", join(directory, "sub", "up"));
      await symlink("nowhere.yaml", join(directory, "dangling.yaml"));
      await symlink("loop.yaml", join(directory, "loop.yaml"));
      const state = await start();
      expect([...state.resources.keys()]).toEqual([key("a")]);
      const told = state.violations.map(({ code, position }) => [code, position?.file.slice(directory.length + 1)]);
      expect(told.sort()).toEqual([
        ["file-unreadable", "dangling.yaml"],
        ["file-unreadable", "loop.yaml"],
      ]);
    });

    test("nothing where there is no directory, and says so", async () => {
      source = createDirectorySource({ directory: join(directory, "nowhere"), defaultNamespace: "default" });
      await expect(source.start(() => {})).rejects.toThrow(/ENOENT/);
    });
  });

  describe("loses nothing when a file", () => {
    test("is written anew and renamed into place, as editors do", async () => {
      await write("a.yaml", entry("a", "old"));
      await start();
      for (let round = 0; round < 5; round++) {
        await write("a.yaml.tmp", entry("a", `new-${round}`));
        await rename(join(directory, "a.yaml.tmp"), join(directory, "a.yaml"));
        await follower.until((state) => hostOf(state, "a") === `new-${round}`);
      }
      alwaysServed("a");
    });

    test("is moved to a backup and written again, as vim does", async () => {
      await write("a.yaml", entry("a", "old"));
      await start({ settleMs: A_MINUTE });
      await rename(join(directory, "a.yaml"), join(directory, "a.yaml~"));
      await settle();
      await write("a.yaml", entry("a", "new"));
      await follower.until((state) => hostOf(state, "a") === "new");
      alwaysServed("a");
    });

    test("is emptied and then written, and takes its objects away when it stays empty", async () => {
      await write("a.yaml", entry("a", "old"));
      await start({ settleMs: 1_000 });
      await truncate(join(directory, "a.yaml"));
      await settle();
      await write("a.yaml", entry("a", "new"));
      await follower.until((state) => hostOf(state, "a") === "new");
      alwaysServed("a");
      await truncate(join(directory, "a.yaml"));
      const state = await follower.until((latest) => !latest.resources.has(key("a")));
      expect([...state.changed]).toEqual([key("a")]);
    });

    test("is cut off at any character, and is then completed", async () => {
      const text = `${entry("a", "a")}---\n${entry("b", "b")}---\n${entry("c", "c")}`;
      await write("all.yaml", text);
      await start({ settleMs: A_MINUTE });
      for (let length = 0; length < text.length; length += 7) {
        await writeFile(join(directory, "all.yaml"), text.slice(0, length));
        await writeFile(join(directory, "all.yaml"), text);
      }
      await settle();
      for (const name of ["a", "b", "c"]) alwaysServed(name);
      const after = follower.latest;
      expect(after.resources.get(key("c"))).toBe(follower.states[0]?.resources.get(key("c")));
    });

    test("stays cut off within an object: what came after it is served on", async () => {
      const text = ["a", "b", "c"].map((name) => entry(name, name)).join("---\n");
      await write("all.yaml", text);
      await start({ settleMs: 20 });
      for (const end of [
        "name: b\n",
        "name: b\nspec:\n",
        "kind: ServiceEntry\nmetadata:\n  na",
        "apiVersion: networking",
      ]) {
        await write(
          "all.yaml",
          text.slice(0, text.indexOf("---")) +
            `---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  ${end}`,
        );
        await follower.until(({ violations }) => violations.length > 0);
        await write("all.yaml", text);
        await follower.until(({ violations }) => violations.length === 0);
      }
      for (const name of ["a", "b", "c"]) alwaysServed(name);
    });

    test("has a fault in one object while another one is taken out: that one goes", async () => {
      await write("all.yaml", ["a", "b", "c"].map((name) => entry(name, name)).join("---\n"));
      await start({ settleMs: 20 });
      await write("all.yaml", [entry("a", "a"), entry("c", undefined)].join("---\n"));
      const state = await follower.until(({ resources }) => !resources.has(key("b")));
      expect(hostOf(state, "c")).toBe("c");
    });

    test("is broken YAML: it keeps all its objects, and says where it breaks", async () => {
      const good = `${entry("a", "a")}---\n${entry("b", "b")}`;
      await write("all.yaml", good);
      await start();
      await write("all.yaml", `${entry("a", "changed")}---\nkind: [\n`);
      const state = await follower.until((latest) => latest.violations.length > 0);
      expect(state.violations.every(({ code }) => code === "yaml-syntax")).toBe(true);
      expect(state.violations[0]?.position).toMatchObject({ file: join(directory, "all.yaml") });
      expect(state.resources.has(key("b"))).toBe(true);
      await write("all.yaml", good);
      await follower.until((latest) => latest.violations.length === 0);
      alwaysServed("a");
      alwaysServed("b");
    });

    test("has an object whose kind was mistyped", async () => {
      await write("a.yaml", entry("a", "a"));
      await start();
      await write("a.yaml", entry("a", "new").replace("ServiceEntry", "ServiceEntri"));
      const state = await follower.until((latest) => latest.violations.length > 0);
      expect(state.violations[0]).toMatchObject({ code: "unknown-kind", severity: "error" });
      expect(hostOf(state, "a")).toBe("a");
    });

    test("can no longer be read, and says why", async () => {
      await write("a.yaml", entry("a", "a"));
      await start();
      await writeFile(join(directory, "a.yaml"), Buffer.from([0xff, 0xfe, 0xfd]));
      const state = await follower.until((latest) => latest.violations.length > 0);
      expect(state.violations[0]).toMatchObject({ code: "file-unreadable", position: { line: 1, column: 1 } });
      expect(state.violations[0]?.message).toContain("not UTF-8");
      expect(hostOf(state, "a")).toBe("a");
      await write("a.yaml", entry("a", "new"));
      await follower.until((latest) => hostOf(latest, "a") === "new" && latest.violations.length === 0);
    });

    test("is larger than a file may be", async () => {
      await write("a.yaml", entry("a", "a"));
      await start();
      await write("a.yaml", `${entry("a", "new")}# ${"x".repeat(5 * 1_048_576)}\n`);
      const state = await follower.until((latest) => latest.violations.length > 0);
      expect(state.violations[0]).toMatchObject({ code: "yaml-limit" });
      expect(hostOf(state, "a")).toBe("a");
    });
  });

  describe("follows", () => {
    test("a mounted ConfigMap, whose files are links that are swapped all at once", async () => {
      await write("..first/a.yaml", entry("a", "first"));
      await write("..first/b.yaml", entry("b", "first"));
      await symlink("..first", join(directory, "..data"));
      for (const name of ["a.yaml", "b.yaml"]) await symlink(join("..data", name), join(directory, name));
      const state = await start();
      expect([...state.resources.keys()]).toEqual([key("a"), key("b")]);
      await write("..second/a.yaml", entry("a", "second"));
      await write("..second/b.yaml", entry("b", "first"));
      await symlink("..second", join(directory, "..data_tmp"));
      await rename(join(directory, "..data_tmp"), join(directory, "..data"));
      const after = await follower.until((latest) => hostOf(latest, "a") === "second");
      expect([...after.changed]).toEqual([key("a")]);
      expect(after.resources.get(key("b"))).toBe(state.resources.get(key("b")));
    });

    test("what a link to elsewhere leads to, by looking from time to time", async () => {
      const elsewhere = await temporaryDirectory();
      await writeFile(join(elsewhere.directory, "real.yaml"), entry("a", "a"));
      await symlink(join(elsewhere.directory, "real.yaml"), join(directory, "a.yaml"));
      await start({ pollMs: 20 });
      await writeFile(join(elsewhere.directory, "real.yaml"), entry("a", "changed"));
      await follower.until((state) => hostOf(state, "a") === "changed");
      await elsewhere.remove();
    });

    test("a directory that is deleted and made again", async () => {
      await write("sub/a.yaml", entry("a", "old"));
      await start();
      await rm(join(directory, "sub"), { recursive: true });
      await write("sub/a.yaml", entry("a", "new"));
      await follower.until((state) => hostOf(state, "a") === "new");
      await write("sub/a.yaml", entry("a", "newer"));
      await follower.until((state) => hostOf(state, "a") === "newer");
      await rm(join(directory, "sub"), { recursive: true });
      await follower.until((state) => !state.resources.has(key("a")));
    });

    test("its own directory when it vanishes and comes back, and serves on meanwhile", async () => {
      await write("a.yaml", entry("a", "old"));
      await start({ pollMs: 20 });
      await rename(directory, `${directory}-away`);
      const without = await follower.until((state) => state.violations.length > 0);
      expect(without.violations[0]).toMatchObject({ code: "file-unreadable" });
      expect(hostOf(without, "a")).toBe("old");
      await mkdir(directory);
      await write("a.yaml", entry("a", "new"));
      const back = await follower.until((state) => hostOf(state, "a") === "new");
      expect(back.violations).toEqual([]);
      await write("a.yaml", entry("a", "newer"));
      await follower.until((state) => hostOf(state, "a") === "newer");
      await rm(`${directory}-away`, { recursive: true });
    });

    test("many changes at once, and ends with what the files say", async () => {
      await start();
      const names = Array.from({ length: 60 }, (_, index) => `n${index}`);
      for (const host of ["one", "two", "three"]) {
        await Promise.all(names.map((name) => write(`${name}.yaml`, entry(name, host))));
      }
      await follower.until((state) => names.every((name) => hostOf(state, name) === "three"));
    });
  });

  describe("tells", () => {
    test("objects apart that have one key: the first path's is served, and the other is told of", async () => {
      await write("b.yaml", entry("x", "second"));
      await write("a.yaml", `${entry("x", "first")}---\n${entry("x", "again")}`);
      const state = await start();
      expect(hostOf(state, "x")).toBe("first");
      expect(state.violations.map(({ code, position }) => [code, position?.file, position?.line])).toEqual([
        ["duplicate-object", join(directory, "a.yaml"), 11],
        ["duplicate-object", join(directory, "b.yaml"), 4],
      ]);
      expect(state.violations[0]).toMatchObject({ kind: "ServiceEntry", namespace: "default", name: "x" });
      expect(state.violations[1]?.message).toContain(`${join(directory, "a.yaml")}:4`);
      await unlink(join(directory, "a.yaml"));
      const after = await follower.until((latest) => hostOf(latest, "x") === "second");
      expect(after.violations).toEqual([]);
    });

    test("nothing when only comments and layout change, and still knows where fields stand", async () => {
      await write("a.yaml", entry("a", "a"));
      const before = await start();
      await write("a.yaml", `# a comment\n\n${entry("a", "a").replace("  hosts", "\n  hosts")}`);
      await settle();
      const resource = follower.latest.resources.get(key("a"));
      expect(resource).toBe(before.resources.get(key("a")));
      expect(resource?.locate(["spec", "hosts"])).toMatchObject({ line: 9, column: 3 });
      expect(follower.states.every((state, index) => index === 0 || !state.changed.has(key("a")))).toBe(true);
    });

    test("the place of a fault anew when it moves", async () => {
      await write("a.yaml", entry("a", undefined));
      await start();
      await write("a.yaml", `\n\n${entry("a", undefined)}`);
      const state = await follower.until((latest) => latest.violations[0]?.position?.line === 8);
      expect(state.changed.size).toBe(0);
    });
  });

  test("a source that is closed while it looks at everything watches nothing from then on", async () => {
    const watches = () => process.getActiveResourcesInfo().filter((name) => name === "FSEventWrap").length;
    const before = watches();
    for (let round = 0; round < 30; round++) {
      await start({ pollMs: 1 });
      await sleep(round % 6);
      await source.close();
    }
    await expect.poll(watches).toBe(before);
  });

  const isRoot = process.getuid?.() === 0;
  test.skipIf(isRoot)("a directory that cannot be listed hides its files and takes none away", async () => {
    await write("sub/a.yaml", entry("a", "a"));
    await start({ pollMs: 20 });
    await chmod(join(directory, "sub"), 0);
    const state = await follower.until((latest) => latest.violations.length > 0);
    expect(hostOf(state, "a")).toBe("a");
    await chmod(join(directory, "sub"), 0o700);
  });

  test("reads the policies that Headgate was asked for", async () => {
    const seeds = new URL("../resources/testdata/seed/", import.meta.url);
    for (const name of ["01-reviews-by-user.yaml", "04-my-svc-load-balancing.yaml", "07-sidecar-bookinfo.yaml"]) {
      await write(name, await readFile(new URL(name, seeds), "utf8"));
    }
    const state = await start();
    expect([...state.resources.keys()]).toEqual([
      "VirtualService/default/reviews",
      "DestinationRule/default/my-destination-rule",
      "Sidecar/bookinfo/default",
    ]);
  });
});
