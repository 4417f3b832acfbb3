// Starts the demo's own programs: the bookinfo services and the control plane, each a process tied to this one.
import { createInterface } from "node:readline";
import { packagePath } from "../../agent/package-root.js";
import { spawnTied, type TiedChild } from "../../agent/tied-child.js";

const GRACE_MS = 3000;

export interface Program<Hello> {
  /** The JSON of the first line it printed. */
  readonly hello: Hello;
  readonly child: TiedChild;
  /** SIGTERM, and SIGKILL if that is not heeded; resolves when it is gone. */
  stop(): Promise<void>;
}

/** A program that ended before it said hello; the message holds its last words. */
export class ProgramFailed extends Error {}

/**
 * Runs a script of the package under Node and resolves once it has printed its first line, which is JSON. Each line on
 * its standard error goes to onLog. Rejects with ProgramFailed.
 */
export async function startProgram<Hello>(
  script: readonly [string, ...string[]],
  args: readonly string[],
  onLog: (line: string) => void = () => {},
): Promise<Program<Hello>> {
  const child = await spawnTied(process.execPath, [packagePath(...script), ...args]);
  const lastLines: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    lastLines.push(line);
    if (lastLines.length > 20) lastLines.shift();
    onLog(line);
  });
  const hello = await new Promise<Hello>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", (line) => {
      try {
        resolve(JSON.parse(line) as Hello);
      } catch {
        reject(new ProgramFailed(`${script.at(-1)} printed "${line}" in place of its addresses`));
      }
    });
    void child.exited.then(({ code, signal }) =>
      reject(new ProgramFailed(`${script.at(-1)} ended (${signal ?? code}) at start:\n${lastLines.join("\n")}`)),
    );
  });
  return {
    hello,
    child,
    async stop() {
      child.kill("SIGTERM");
      const killer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
      await child.exited;
      clearTimeout(killer);
    },
  };
}
