// A process as its container would have it: files read-only but for /tmp, a user without a name, and no capabilities.
import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { followed, type Running } from "../../harness/headgate.js";
import type { Scope } from "../../harness/scope.js";

/** Where the container's files are seen. */
export const CONFINED_ROOT = "/mnt";

const CONFINE = [
  `mount --bind "$1" ${CONFINED_ROOT}`,
  "mount -t tmpfs -o mode=1777 tmpfs /tmp",
  "mount -o remount,bind,ro /",
  `mount -o remount,bind,ro ${CONFINED_ROOT}`,
  'user=$2; shift 2; cd /; exec setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs ' +
    '--bounding-set=-all --inh-caps=-all -- "$@"',
].join(" && ");
const UNSHARE = ["--mount", "--propagation", "private", "sh", "-c", CONFINE, "sh"];

/** Why there can be none here, or undefined where there can. */
export async function confinementObstacle(): Promise<string | undefined> {
  try {
    await promisify(execFile)("unshare", [...UNSHARE, "/", "1000", "true"]);
    return undefined;
  } catch (error) {
    return `it takes root, and mount namespaces: ${String(error).split("\n", 1)[0]}`;
  }
}

/** Runs a command with the files of `root`, to be found at CONFINED_ROOT. */
export function runConfined(
  scope: Scope,
  {
    root,
    user,
    env,
  }: { readonly root: string; readonly user: number; readonly env?: Readonly<Record<string, string>> },
  command: readonly string[],
): Running {
  const child = spawn("unshare", [...UNSHARE, root, String(user), ...command], {
    env: { PATH: process.env.PATH, HOME: "/nonexistent", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return followed(scope, child);
}
