// One process of Envoy, from its start to its end.
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { type AdminAddress, askAdmin, parseAdminAddress } from "./envoy-admin.js";
import { drainSecondsOf, type PreparedLaunch } from "./launch.js";
import { type Lineage, lineageArguments } from "./lineage.js";
import { expectationOf, missingForReadiness } from "./readiness.js";
import { type ChildExit, spawnTied } from "./tied-child.js";

const POLL_MS = 50;
/** The former process ends so much later than its listeners' drain. */
const AFTER_DRAIN_S = 2;

export interface EnvoyRun {
  readonly launch: PreparedLaunch;
  readonly pid: number;
  /** Undefined while Envoy has not opened its admin interface. */
  readonly admin: AdminAddress | undefined;
  /** It has opened its admin interface at some time. */
  readonly wasLive: boolean;
  readonly startedAt: number;
  /** Undefined until it has ended. */
  readonly exit: ChildExit | undefined;
  readonly exited: Promise<ChildExit>;
  /** Undefined while traffic may flow, else what is missing, in words for a person; never rejects. */
  missing(): Promise<string | undefined>;
  /** "none" when its admin interface does not answer, "starting" until its workers have started; never rejects. */
  phase(): Promise<"none" | "starting" | "live">;
  kill(signal: NodeJS.Signals): void;
}

export interface RunOptions {
  /** Where it stands among those that take over from one another; without, it is none of such. */
  readonly descent?: { readonly lineage: Lineage; readonly epoch: number };
  readonly onLog: (line: string) => void;
  readonly onOutput: (line: string) => void;
}

/** How long the former process may finish its requests once another has taken over. */
export const handoverSeconds = (launch: PreparedLaunch): number => drainSecondsOf(launch) + AFTER_DRAIN_S;

/** Resolves once the process is spawned; rejects when not even that could be done. */
export async function startRun(launch: PreparedLaunch, { descent, onLog, onOutput }: RunOptions): Promise<EnvoyRun> {
  const addressFile = join(launch.directory, `admin-address-${descent?.epoch ?? 0}`);
  await rm(addressFile, { force: true });
  const words = descent
    ? lineageArguments(descent.lineage, descent.epoch, handoverSeconds(launch))
    : ["--disable-hot-restart"];
  const child = await spawnTied(
    launch.binary,
    [...launch.arguments, ...words, "--admin-address-path", addressFile],
    [launch.directory, ...(descent ? [descent.lineage.memory] : [])],
  );
  createInterface({ input: child.stderr }).on("line", onLog);
  createInterface({ input: child.stdout }).on("line", onOutput);
  let admin: AdminAddress | undefined;
  let wasLive = false;
  let exit: ChildExit | undefined;
  const exited = child.exited.then((end) => {
    admin = undefined;
    exit = end;
    return end;
  });
  const findAdmin = async () => {
    while (!admin && !exit) {
      const found = parseAdminAddress(await readFile(addressFile, "utf8").catch(() => ""));
      if (found && !exit) {
        admin = found;
        wasLive = true;
      } else await sleep(POLL_MS);
    }
  };
  void findAdmin();
  return {
    launch,
    pid: child.pid,
    startedAt: Date.now(),
    exited,
    kill: child.kill,
    get admin() {
      return admin;
    },
    get wasLive() {
      return wasLive;
    },
    get exit() {
      return exit;
    },
    async phase() {
      const answer = admin && (await askAdmin(admin, "GET", "/ready").catch(() => undefined));
      if (!answer) return "none";
      return answer.status === 200 ? "live" : "starting";
    },
    async missing() {
      if (!admin) return "Envoy's admin interface has not opened";
      return missingForReadiness(admin, expectationOf(launch.bootstrap)).catch((error: Error) => error.message);
    },
  };
}
