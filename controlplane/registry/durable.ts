// Writes that a crash leaves whole or undone: written aside, flushed, renamed into place, and the name flushed too.
import { mkdir, mkdtemp, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** What is written but not in place yet begins with this; a crash may leave such names, which nobody reads. */
export const UNFINISHED = ".unfinished-";

/** Puts content in the place of a file, or where there was none. */
export async function writeFileDurably(path: string, content: Uint8Array | string): Promise<void> {
  const aside = join(dirname(path), `${UNFINISHED}${basename(path)}`);
  await writeFlushed(aside, content);
  await rename(aside, path);
  await flushDirectory(dirname(path));
}

/** Makes a directory that has these files from the moment it can be seen; false if the name is taken. */
export async function createDirectoryDurably(
  path: string,
  files: ReadonlyMap<string, Uint8Array | string>,
): Promise<boolean> {
  const parent = dirname(path);
  await mkdir(parent, { recursive: true });
  const aside = await mkdtemp(join(parent, UNFINISHED));
  try {
    for (const [name, content] of files) await writeFlushed(join(aside, name), content);
    await flushDirectory(aside);
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    if (["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
  await flushDirectory(parent);
  return true;
}

/** Takes a directory out of sight in one step, then deletes it; false if there is none. */
export async function removeDirectoryDurably(path: string): Promise<boolean> {
  const aside = await mkdtemp(join(dirname(path), UNFINISHED)).catch(() => undefined);
  if (!aside) return false;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  await flushDirectory(dirname(path));
  return true;
}

async function writeFlushed(path: string, content: Uint8Array | string): Promise<void> {
  const file = await open(path, "w", 0o644);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function flushDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
