// Keeps two demos from sharing a directory: each would rewrite the other's world.
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Takes a directory for this process; the value gives it back. The error says who has it. What a killed process left
 * behind does not count.
 */
export async function lockDirectory(
  directory: string,
): Promise<{ readonly value: () => Promise<void> } | { readonly error: string }> {
  const file = join(directory, "demo.pid");
  const holder = Number(await readFile(file, "utf8").catch(() => ""));
  if (holder > 0 && holder !== process.pid && isRunning(holder))
    return { error: `a demo is running there already (pid ${holder}): end it, or give another --directory` };
  await writeFile(file, String(process.pid));
  return { value: () => rm(file, { force: true }) };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
