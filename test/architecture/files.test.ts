// What a source file may look like from outside: its name, its length, its first line.
import { posix } from "node:path";
import { expect, test } from "vitest";
import { sourceFiles } from "./source-files.js";

const LONGEST = 400;
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)?\.(ts|mjs|js)$/;
/** AssemblyScript finds what provides an import's module by its file name. */
const NAMED_BY_OTHERS = new Set(["wasi_snapshot_preview1.ts"]);
/** Names that say nothing about what a file holds. */
const EMPTY_WORDS = new Set(["manager", "helper", "helpers", "util", "utils", "common", "misc", "data", "info"]);

const files = sourceFiles(process.cwd());
const paths = (found: readonly { readonly path: string }[]) => found.map((file) => file.path);

test("No file is longer than 400 lines", () => {
  expect(paths(files.filter((file) => file.text.split("\n").length - 1 > LONGEST))).toEqual([]);
});

test("File names are kebab-case", () => {
  const named = paths(files).map((path) => posix.basename(path));
  expect(named.filter((name) => !KEBAB.test(name) && !NAMED_BY_OTHERS.has(name))).toEqual([]);
});

test("File names say what the file holds", () => {
  const words = (path: string) => posix.basename(path).split(/[-.]/);
  const empty = (path: string) => words(path).some((word) => EMPTY_WORDS.has(word)) || /\/index\.\w+$/.test(path);
  expect(paths(files).filter(empty)).toEqual([]);
});

test("A file opens with a comment that says its place", () => {
  expect(paths(files.filter((file) => !/^(#!.*\n)?\/\/ \S/.test(file.text)))).toEqual([]);
});

test("Exports have names, and no file only hands on what others export", () => {
  const bare = (text: string) => text.replace(/^\s*\/\/.*$/gm, "").trim();
  const barrel = (text: string) =>
    bare(text).length > 0 && bare(text).replace(/export [^;]*? from [^;]*;?\s*/g, "") === "";
  expect(paths(files.filter((file) => /^export default/m.test(file.text) || barrel(file.text)))).toEqual([]);
});
