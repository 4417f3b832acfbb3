// Reading files and directories once, as `headgate validate` does.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readFiles } from "../../controlplane/sources/read-files.js";
import { entry, temporaryDirectory } from "./entries.js";

let directory: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ directory, remove } = await temporaryDirectory());
});
afterEach(() => remove());

describe("reading files once", () => {
  test("counts all objects, good and bad, and gives the good ones", async () => {
    await writeFile(join(directory, "a.yaml"), `${entry("a", "a")}---\n${entry("b", undefined)}`);
    await writeFile(join(directory, "list.json"), JSON.stringify({ kind: "List", items: [{}, {}] }));
    const { objects, resources, violations } = await readFiles([directory], "default");
    expect(objects).toBe(4);
    expect([...resources.keys()]).toEqual(["ServiceEntry/default/a"]);
    expect(violations.map(({ position }) => `${position?.file.slice(directory.length)}:${position?.line}`)).toEqual([
      "/a.yaml:13",
      ...Array(6).fill("/list.json:1"),
    ]);
  });

  test("takes files of any name when they are named, and each file once", async () => {
    const path = join(directory, "policy.txt");
    await writeFile(path, entry("a", "a"));
    await writeFile(join(directory, "b.yaml"), entry("b", "b"));
    const { objects, violations } = await readFiles([path, directory, join(directory, "b.yaml")], "default");
    expect(objects).toBe(2);
    expect(violations).toEqual([]);
  });

  test("tells of what cannot be read, and reads the rest", async () => {
    await writeFile(join(directory, "a.yaml"), entry("a", "a"));
    await writeFile(join(directory, "b.yaml"), Buffer.from([0xc3, 0x28]));
    const { objects, violations } = await readFiles([join(directory, "nowhere"), directory], "default");
    expect(objects).toBe(1);
    expect(violations.map(({ code, message }) => `${code}: ${message}`)).toEqual([
      "file-unreadable: The file cannot be read: it does not exist.",
      "file-unreadable: The text is not UTF-8.",
    ]);
  });

  test("puts objects that name no namespace into the one it is given", async () => {
    await writeFile(join(directory, "a.yaml"), entry("a", "a"));
    const { resources } = await readFiles([directory], "elsewhere");
    expect([...resources.keys()]).toEqual(["ServiceEntry/elsewhere/a"]);
  });

  test("takes thousands of files in one call", async () => {
    await mkdir(join(directory, "many"));
    const names = Array.from({ length: 2_000 }, (_, index) => `n${index}`);
    for (const name of names) await writeFile(join(directory, "many", `${name}.yaml`), entry(name, "a"));
    const { objects, resources, violations } = await readFiles([directory], "default");
    expect([objects, resources.size, violations.length]).toEqual([2_000, 2_000, 0]);
  });
});
