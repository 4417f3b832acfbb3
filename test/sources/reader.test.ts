// Reading files: what is read, what is not sent again, and the thread that keeps hostile files from everything else.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createDirectorySource } from "../../controlplane/sources/directory.js";
import { createReader, type Reader } from "../../controlplane/sources/reader.js";
import { type FileOutcome, readObjects } from "../../controlplane/sources/reading.js";
import { entry, temporaryDirectory } from "./entries.js";
import { Follower, hostOf } from "./source-suite.js";

/** The thread runs what was compiled: `npm test` builds it first. */
const THREAD = new URL("../../dist/controlplane/sources/reader-thread.js", import.meta.url);
const NOTHING: ReadonlyMap<string, string> = new Map();

let directory: string;
let remove: () => Promise<void>;
let reader: Reader | undefined;

beforeEach(async () => {
  ({ directory, remove } = await temporaryDirectory());
});
afterEach(async () => {
  await reader?.close();
  reader = undefined;
  await remove();
});

async function file(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

function request(path: string, known = NOTHING) {
  return { path, defaultNamespace: "default", known };
}

function keysOf(outcome: FileOutcome): (string | undefined)[] {
  return "violation" in outcome ? [outcome.violation.code] : outcome.reading.objects.map(({ key }) => key);
}

describe("reading a file", () => {
  test("gives its objects with digests that tell content, not layout", async () => {
    const path = await file("a.yaml", `${entry("a", "a")}---\n${entry("b", "b")}`);
    const first = readObjects(request(path));
    await file("a.yaml", `# other\n${entry("a", "a")}\n\n---\n${entry("b", "changed")}`);
    const second = readObjects(request(path));
    if ("violation" in first || "violation" in second) throw new Error("The file was not read.");
    const digests = (outcome: typeof first) => outcome.reading.objects.map(({ digest }) => digest);
    expect(digests(second)[0]).toBe(digests(first)[0]);
    expect(digests(second)[1]).not.toBe(digests(first)[1]);
  });

  test("leaves out the content of objects that the asker has already", async () => {
    const path = await file("a.yaml", `${entry("a", "a")}---\n${entry("b", "b")}`);
    const outcome = readObjects(request(path));
    if ("violation" in outcome) throw new Error("The file was not read.");
    const known = new Map(outcome.reading.objects.map(({ key, digest }) => [key as string, digest]));
    await file("a.yaml", `${entry("a", "a")}---\n${entry("b", "changed")}`);
    const again = readObjects(request(path, known));
    if ("violation" in again) throw new Error("The file was not read.");
    expect(again.reading.objects.map(({ unchanged, content }) => [unchanged, content === undefined])).toEqual([
      [true, true],
      [undefined, false],
    ]);
  });

  test("lists two thousand faults of a file and says how many there are", async () => {
    const bad = Array.from({ length: 2_500 }, (_, index) => entry(`n${index}`, undefined)).join("---\n");
    const outcome = readObjects(request(await file("a.yaml", bad)));
    if ("violation" in outcome) throw new Error("The file was not read.");
    expect(outcome.reading.objects.flatMap(({ violations }) => violations)).toHaveLength(2_000);
    expect(outcome.reading.violations[0]?.message).toContain("2500 faults");
  });

  test("says why there is none", () => {
    const outcome = readObjects(request(join(directory, "nowhere.yaml")));
    expect(outcome).toMatchObject({ missing: true, violation: { code: "file-unreadable" } });
    expect(readObjects(request(directory))).toMatchObject({ missing: false });
  });
});

describe("a reader's thread", () => {
  test("reads what would be read without it", async () => {
    const path = await file("a.yaml", `${entry("a", "a")}---\n${entry("b", undefined)}---\nkind: [\n`);
    reader = createReader({ thread: THREAD });
    expect(await reader.read(request(path))).toEqual(readObjects(request(path)));
  });

  test("leaves the event loop free to turn while it reads a file that takes long", async () => {
    const rules = Array.from({ length: 20_000 }, (_, i) => `    - {match: [{uri: {exact: /${i}}}], route: []}\n`).join(
      "",
    );
    const path = await file("big.yaml", `spec:\n  http:\n${rules}`);
    reader = createReader({ thread: THREAD });
    let turns = 0;
    const counter = setInterval(() => turns++, 1);
    await reader.read(request(path));
    clearInterval(counter);
    expect(turns).toBeGreaterThan(20);
  });

  test("reads any number of files that are asked for at once", async () => {
    reader = createReader({ thread: THREAD });
    const paths = await Promise.all(Array.from({ length: 50 }, (_, i) => file(`${i}.yaml`, entry(`n${i}`, "a"))));
    const outcomes = await Promise.all(paths.map((path) => reader?.read(request(path))));
    expect(outcomes.map((outcome) => outcome && keysOf(outcome))).toEqual(
      paths.map((_, i) => [`ServiceEntry/default/n${i}`]),
    );
  });

  test.each([
    ["fails", "throw new Error('broken')", {}],
    ["ends", "process.exit(3)", {}],
    ["never answers", "for (;;);", { timeoutMs: 4_000 }],
  ])("that %s costs that file alone and is replaced", async (_, fault, bound) => {
    const thread = await file(
      "thread.mjs",
      `import { MessageChannel, parentPort } from "node:worker_threads";
       parentPort.on("message", ({ path }) => {
         if (path === "bad") { ${fault} }
         const { port1, port2 } = new MessageChannel();
         port1.postMessage({ outcome: { violation: { code: "yaml-syntax" }, missing: false } });
         parentPort.postMessage(port2, [port2]);
       });`,
    );
    reader = createReader({ thread: pathToFileURL(thread), ...bound });
    const outcomes = await Promise.all(["good", "bad", "good"].map((path) => reader?.read(request(path))));
    expect(outcomes.map((outcome) => outcome && keysOf(outcome))).toEqual([
      ["yaml-syntax"],
      ["yaml-limit"],
      ["yaml-syntax"],
    ]);
  });

  test("gives up what it reads when it is closed", async () => {
    const thread = await file(
      "thread.mjs",
      'import { parentPort } from "node:worker_threads"; parentPort.on("message", () => { for (;;); });',
    );
    const closing = createReader({ thread: pathToFileURL(thread) });
    const outcomes = Promise.all(["a", "b"].map((path) => closing.read(request(path))));
    await closing.close();
    expect((await outcomes).map(keysOf)).toEqual([["yaml-limit"], ["yaml-limit"]]);
  });

  test("serves a directory source whose files are as hostile as they can be", async () => {
    await file("good.yaml", entry("good", "good"));
    await file("nested.yaml", "[".repeat(1_000_000));
    await file("aliases.yaml", `a: &a [x]\n${"- *a\n".repeat(10)}`);
    await file("documents.yaml", "---\n".repeat(1_000_000));
    await file("keys.yaml", Array.from({ length: 200_000 }, (_, i) => `k${i}: 1\n`).join(""));
    await file("brackets.yaml", "]".repeat(200_000));
    await file("bytes.yaml", "\u0000".repeat(100_000));
    const source = createDirectorySource({
      directory,
      defaultNamespace: "default",
      reader: createReader({ thread: THREAD }),
    });
    const follower = new Follower();
    follower.add(await source.start(follower.add));
    expect(hostOf(follower.latest, "good")).toBe("good");
    const faulty = new Set(follower.latest.violations.map(({ position }) => position?.file));
    expect(faulty.size).toBe(6);
    await file("good.yaml", entry("good", "changed"));
    await follower.until((state) => hostOf(state, "good") === "changed");
    await source.close();
  });
});
