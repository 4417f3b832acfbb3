// Makes a fresh clone ready to run: dependencies, build, Envoy. A second run finds all of it done.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.mjs";
import { main, root, run, SetupError, showing } from "./steps.mjs";

const OLDEST_NODE = [20, 19];

export async function setup() {
  checkSystem();
  if (!dependenciesAreInstalled()) await showing("Installing dependencies", installDependencies);
  await build();
  await getEnvoy();
}

function checkSystem() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1]))
    throw new SetupError(`this is Node.js ${process.versions.node}; install ${OLDEST_NODE.join(".")} or later.`);
  if (process.platform === "win32") throw new SetupError("Windows is not supported; use WSL, which is Linux.");
}

/** Whether node_modules holds exactly what the lockfile says; npm records there what it installed. */
function dependenciesAreInstalled() {
  const installed = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(installed)) return false;
  const packages = (file) => JSON.parse(readFileSync(file, "utf8")).packages;
  const present = packages(installed);
  return Object.entries(packages(join(root, "package-lock.json"))).every(
    ([path, wanted]) =>
      path === "" || present[path]?.integrity === wanted.integrity || (wanted.optional && !present[path]),
  );
}

/** Nothing that we depend on needs its install script: the platform's binaries come as packages of their own. */
function installDependencies() {
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const advice = (output) =>
    /ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|network/i.test(output)
      ? "npm cannot reach its registry: check the network, or the registry and proxy settings (npm config list)."
      : "Delete node_modules and try again; if it fails again, the output above says why.";
  const npm = process.env.npm_execpath;
  return npm ? run(process.execPath, [npm, ...args], { advice }) : run("npm", args, { advice });
}

async function getEnvoy() {
  const { findEnvoy } = await import("../dist/controlplane/agent/envoy-binary.js");
  const found = await showing("Looking for Envoy", (say) => findEnvoy({ env: process.env, onProgress: say }));
  if ("error" in found) throw new SetupError(found.error);
  const { path, version } = found.value;
  process.stderr.write(`  Envoy ${version}: ${path}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(setup);
