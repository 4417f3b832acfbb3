// The directories that --config names.
import { stat } from "node:fs/promises";

/** What is wrong with the first of them that is none, in words for a person. */
export async function findNoDirectory(directories: readonly string[]): Promise<string | undefined> {
  for (const directory of directories) {
    const found = await stat(directory).catch((error: NodeJS.ErrnoException) => error);
    if (found instanceof Error) {
      const reason = found.code === "ENOENT" ? "it does not exist" : (found.code ?? found.message);
      return `${directory} is no directory: ${reason}`;
    }
    if (!found.isDirectory()) return `${directory} is no directory`;
  }
  return undefined;
}
