// Files that are replaced in every way that people and systems do.
import { mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Followed, followFiles } from "../../controlplane/identity/followed-files.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

/** Follows one file whose content must be a number. */
async function numberIn(path: string) {
  const errors: string[] = [];
  const read = await followFiles([path], {
    pollMs: 5,
    read: async () => {
      const text = await readFile(path, "utf8");
      return /^\d+$/.test(text) ? { value: Number(text) } : { error: `"${text}" is no number` };
    },
    onValue: () => {},
    onError: (error) => errors.push(error),
  });
  if ("error" in read) throw new Error(read.error);
  const followed: Followed<number> = scope.use(read.value);
  const becomes = (value: number) => eventually(`it is ${value}`, () => followed.current === value);
  return { followed, errors, becomes };
}

test("A file that is written over, renamed over and deleted and made anew is read again each time", async () => {
  const path = join(await scope.directory(), "file");
  await writeFile(path, "1");
  const { followed, becomes } = await numberIn(path);
  expect(followed.current).toBe(1);
  await writeFile(path, "22");
  await becomes(22);
  await writeFile(`${path}.new`, "3");
  await rename(`${path}.new`, path);
  await becomes(3);
  await rm(path);
  await writeFile(path, "4");
  await becomes(4);
});

test("A directory that is swapped behind a symbolic link, as Kubernetes mounts have it, is noticed", async () => {
  const directory = await scope.directory();
  for (const [name, content] of [
    ["old", "1"],
    ["new", "2"],
  ] as const) {
    await mkdir(join(directory, name));
    await writeFile(join(directory, name, "file"), content);
  }
  await symlink("old", join(directory, "..data"));
  await symlink("..data/file", join(directory, "file"));
  const { followed, becomes } = await numberIn(join(directory, "file"));
  expect(followed.current).toBe(1);
  await symlink("new", join(directory, "..next"));
  await rename(join(directory, "..next"), join(directory, "..data"));
  await becomes(2);
});

test("What cannot be used is told once, and the last good content stays until there is better", async () => {
  const path = join(await scope.directory(), "file");
  await writeFile(path, "1");
  const { followed, errors, becomes } = await numberIn(path);
  await writeFile(path, "oops");
  await eventually("the fault is told", () => errors.includes('"oops" is no number'));
  await rm(path);
  await eventually("that it is gone is told", () => errors.some((error) => error.includes("ENOENT")));
  expect(followed.current).toBe(1);
  await writeFile(path, "5");
  await becomes(5);
  expect(errors.filter((error) => error === '"oops" is no number')).toHaveLength(1);
});

test("Files that cannot be used at first are an error", async () => {
  const read = await followFiles(["/nowhere"], {
    read: () => readFile("/nowhere", "utf8").then((value) => ({ value })),
    onValue: () => {},
    onError: () => {},
  });
  expect(read).toMatchObject({ error: expect.stringContaining("ENOENT") });
});

test("Nothing is read any more once it is closed", async () => {
  const path = join(await scope.directory(), "file");
  const other = join(await scope.directory(), "file");
  await writeFile(path, "1");
  await writeFile(other, "1");
  const closed = await numberIn(path);
  const open = await numberIn(other);
  closed.followed.close();
  await writeFile(path, "2");
  await writeFile(other, "2");
  await open.becomes(2);
  expect(closed.followed.current).toBe(1);
});
