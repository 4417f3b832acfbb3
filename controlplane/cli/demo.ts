// `headgate demo`: bookinfo behind real Envoys on this machine, to try policies on; `npm start` runs it.
import { cp, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { findEnvoy } from "../agent/envoy-binary.js";
import { packagePath } from "../agent/package-root.js";
import { type CommandDefinition, type CommandIo, exitCode } from "./command.js";
import { lockDirectory } from "./demo/directory-lock.js";
import { followChanges } from "./demo/follow.js";
import { followRollouts, standingRollouts } from "./demo/follow-rollouts.js";
import { type Mesh, startMesh } from "./demo/mesh.js";
import { isFree } from "./demo/network.js";
import { allHeld, resultTable, runScenarios } from "./demo/once.js";
import { welcome } from "./demo/welcome.js";

export const demoCommand: CommandDefinition = {
  name: "demo",
  summary: "run bookinfo behind Envoys on this machine, to try policies on",
  description:
    "Starts the bookinfo services, a sidecar Envoy for each, a gateway and a control plane, on loopback addresses and\n" +
    "without privileges. Edit the policies while it runs; Ctrl-C ends all of it.\n\n" +
    "With --once it applies each example policy in turn, sends traffic through the Envoys, and prints what it saw;\n" +
    "the exit code is 0 only if all of it held.",
  options: [
    { flags: "--once", summary: "try every example policy, print a table, and end" },
    { flags: "--directory <dir>", summary: "where policies and state lie (default: .headgate/demo in the clone)" },
    { flags: "--admin <host:port>", summary: "the control plane's admin (default: 127.0.0.1:15014, or any port)" },
    { flags: "--verbose", summary: "show what the programs log" },
  ],

  async run(_args, options, io) {
    const say = (message: string) => io.stderr.write(`  ${message}\n`);
    const binary = await findEnvoy({ env: io.env, onProgress: say });
    if ("error" in binary) {
      io.stderr.write(`headgate demo: ${binary.error}\n`);
      return exitCode.unavailable;
    }
    const once = options.once === true;
    const directory = once ? await mkdtemp(join(tmpdir(), "headgate-demo-")) : demoDirectory(options.directory, io);
    const policies = await preparePolicies(directory, once);
    const lock = await lockDirectory(directory);
    if ("error" in lock) {
      io.stderr.write(`headgate demo: ${directory}: ${lock.error}\n`);
      return exitCode.unavailable;
    }
    try {
      const mesh = await startMesh({
        world: join(directory, "world"),
        policies,
        envoy: binary.value.path,
        admin: typeof options.admin === "string" ? options.admin : await adminAddress(once),
        onProgress: say,
        onLog: (source, line) => {
          if (options.verbose) io.stderr.write(`  [${source}] ${line}\n`);
        },
      });
      try {
        return once ? await tryAll(mesh, policies, io) : await runOn(mesh, policies, io);
      } finally {
        await mesh.stop();
      }
    } catch (error) {
      io.stderr.write(`headgate demo: ${error instanceof Error ? error.message : String(error)}\n`);
      return exitCode.unavailable;
    } finally {
      await lock.value();
      if (once) await rm(directory, { recursive: true, force: true });
    }
  },
};

function demoDirectory(given: unknown, io: CommandIo): string {
  return typeof given === "string" ? resolve(io.cwd, given) : packagePath(".headgate", "demo");
}

/** Where `headgate status` looks by itself, unless something else is there already. */
async function adminAddress(once: boolean): Promise<string> {
  return !once && (await isFree("127.0.0.1", 15_014)) ? "127.0.0.1:15014" : "127.0.0.1:0";
}

/** The directory of policies; what a person left there is kept. */
async function preparePolicies(directory: string, empty: boolean): Promise<string> {
  const policies = join(directory, "policies");
  await mkdir(policies, { recursive: true });
  if (empty || (await readdir(policies)).length > 0) return policies;
  const examples = packagePath("examples", "policies");
  await cp(join(examples, "subsets.yaml"), join(policies, "subsets.yaml"));
  await cp(join(examples, "01-reviews-by-user.yaml"), join(policies, "reviews.yaml"));
  return policies;
}

async function tryAll(mesh: Mesh, policies: string, io: CommandIo): Promise<number> {
  const started = Date.now();
  const results = await runScenarios(mesh, policies, (title) => io.stderr.write(`  ${title}\n`), io.signal);
  io.stdout.write(`\n${resultTable(results)}\n`);
  const seconds = Math.round((Date.now() - started) / 1000);
  const held = allHeld(results);
  const verdict = io.signal.aborted ? "Stopped before the end" : held ? "All scenarios held" : "Not all scenarios held";
  io.stdout.write(`${verdict} (${seconds} s).\n`);
  return held ? exitCode.ok : exitCode.failed;
}

async function runOn(mesh: Mesh, policies: string, io: CommandIo): Promise<number> {
  const fromHere = (path: string) => (relative(io.cwd, path).startsWith("..") ? path : relative(io.cwd, path));
  const directories = { policies: fromHere(policies), filters: fromHere(mesh.filters) };
  // All that somebody does who has read the welcome is told.
  const [after, before] = await Promise.all([
    mesh.controlPlane.lastEvent().catch(() => 0),
    standingRollouts(mesh.filters),
  ]);
  io.stdout.write(welcome(mesh, directories, io.stdout.isTTY === true));
  const over = new AbortController();
  const either = AbortSignal.any([io.signal, over.signal]);
  const ended = mesh.controlPlane.exited.then(() => "ended" as const);
  const print = (line: string) => io.stdout.write(`${line}\n`);
  void followRollouts({ directory: mesh.filters, before }, print, either);
  const followed = followChanges({ controlPlane: mesh.controlPlane, after }, print, either).then(
    () => "stopped" as const,
  );
  const outcome = await Promise.race([ended, followed]);
  over.abort();
  if (outcome === "stopped") {
    io.stdout.write("\nStopping.\n");
    return exitCode.ok;
  }
  io.stderr.write("headgate demo: the control plane ended by itself\n");
  return exitCode.unavailable;
}
