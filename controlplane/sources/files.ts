// Finds and reads the files of a directory that hold objects.
import { closeSync, constants, type Dirent, fstatSync, openSync, readFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Violation } from "../resources/violation.js";
import { makeViolation } from "../resources/violation-at.js";
import { YAML_LIMITS } from "./yaml.js";

const EXTENSION = /\.(?:ya?ml|json)$/i;
/** Directories within one another; deeper ones are a loop of links or a mistake. */
const MOST_DEPTH = 32;
const UTF8 = new TextDecoder("utf-8", { fatal: true });
/** UTF-8 needs up to three bytes for what counts as one character. */
const MOST_BYTES = YAML_LIMITS.size * 3;

/** Whether a name in a directory is that of a file to read. Names that begin with a dot are editors' and mounts'. */
export function isObjectFile(name: string): boolean {
  return EXTENSION.test(name) && !name.startsWith(".");
}

/** Tells whether a file is the same as when it was last seen. */
export type FileStamp = string;

export interface DirectoryListing {
  /** The files' paths with their stamps, links followed, sorted by path. */
  readonly files: ReadonlyMap<string, FileStamp>;
  /** The directories' paths with what tells one from another that takes its place; the root first. */
  readonly directories: ReadonlyMap<string, string>;
  /** Directories that could not be read, with why, and links that lead to no file; what is below them is not known. */
  readonly unreadable: ReadonlyMap<string, Violation>;
}

/** Lists a directory with all below it, following links. Rejects when the root itself cannot be read. */
export async function listDirectory(root: string): Promise<DirectoryListing> {
  const files: [string, FileStamp][] = [];
  const directories = new Map<string, string>();
  const unreadable = new Map<string, Violation>();

  async function list(directory: string, ancestors: readonly string[]): Promise<void> {
    const { dev, ino } = await stat(directory);
    const self = `${dev}:${ino}`;
    if (ancestors.includes(self) || ancestors.length > MOST_DEPTH) return;
    directories.set(directory, self);
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      await visit(entry, join(directory, entry.name), [...ancestors, self]);
    }
  }

  async function visit(entry: Dirent, path: string, ancestors: readonly string[]): Promise<void> {
    if (entry.name.startsWith(".") || (entry.isFile() && !isObjectFile(entry.name))) return;
    const fail = (error: unknown) => unreadable.set(path, unreadableViolation(path, error));
    const found = await stat(path).catch((error: Error) => error);
    if (found instanceof Error) {
      // What is no link was deleted meanwhile.
      if (entry.isSymbolicLink() && isObjectFile(entry.name)) fail(found);
    } else if (found.isFile() && isObjectFile(entry.name)) files.push([path, stampOf(found)]);
    else if (found.isDirectory()) await list(path, ancestors).catch(fail);
  }

  await list(root, []);
  files.sort(([a], [b]) => (a < b ? -1 : 1));
  return { files: new Map(files), directories, unreadable };
}

/** The time of the last change of content or of anything else, the size, and which file it is. */
export function stampOf(found: {
  ino: number;
  dev: number;
  size: number;
  mtimeMs: number;
  ctimeMs: number;
}): FileStamp {
  return `${found.dev}:${found.ino}:${found.size}:${found.mtimeMs}:${found.ctimeMs}`;
}

/** A file's text, with the stamp it had before it was read; or why there is none. */
export type FileText =
  | { readonly text: string; readonly stamp: FileStamp }
  | { readonly violation: Violation /** There is no such file. */; readonly missing: boolean };

/**
 * Reads a file as UTF-8, holding the thread up meanwhile. Only regular files are read, so that a pipe or device cannot
 * hold it up for good.
 */
export function readFileText(path: string): FileText {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = fstatSync(descriptor);
    if (!found.isFile()) return refusal(fileViolation("file-unreadable", path, "This is not a regular file."));
    if (found.size > MOST_BYTES) return refusal(tooLarge(path));
    const bytes = readFileSync(descriptor);
    return { text: UTF8.decode(bytes), stamp: stampOf(found) };
  } catch (error) {
    return { violation: unreadableViolation(path, error), missing: (error as { code?: unknown }).code === "ENOENT" };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function refusal(violation: Violation): FileText {
  return { violation, missing: false };
}

/** Says why a file or directory could not be read. */
export function unreadableViolation(path: string, error: unknown): Violation {
  const code = (error as { code?: unknown }).code;
  if (code === "ERR_ENCODING_INVALID_ENCODED_DATA")
    return fileViolation("file-unreadable", path, "The text is not UTF-8.");
  const reason = typeof code === "string" ? (REASONS[code] ?? code) : "it could not be opened";
  return fileViolation("file-unreadable", path, `The file cannot be read: ${reason}.`);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "it does not exist",
  EACCES: "permission is denied",
  EPERM: "permission is denied",
  ELOOP: "its links lead in a circle",
  EISDIR: "it is a directory",
  ENOTDIR: "a part of its path is no directory",
  EMFILE: "too many files are open",
};

function tooLarge(path: string): Violation {
  return fileViolation("yaml-limit", path, `The file is larger than ${YAML_LIMITS.size / 1_048_576} MiB; split it.`);
}

function fileViolation(code: "file-unreadable" | "yaml-limit", file: string, message: string): Violation {
  return makeViolation(code, "error", [], message, { file, line: 1, column: 1 }, {});
}
