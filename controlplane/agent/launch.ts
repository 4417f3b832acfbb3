// What an Envoy is started with, laid out in a directory that the runs from it share.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { followSecrets } from "./followed-secrets.js";

const VALIDATION_MS = 30_000;

export interface Launch {
  /** A complete bootstrap, in the JSON form of envoy.config.bootstrap.v3.Bootstrap. Static secrets are followed. */
  readonly bootstrap: object;
  /** Path of the Envoy binary. */
  readonly binary: string;
  /** trace, debug, info, warning (the default), error, critical or off. */
  readonly logLevel?: string;
  /** Worker threads; Envoy's own default (one a core) if absent. */
  readonly concurrency?: number;
  /** How long a listener that the control plane removed or replaced may finish its connections; 45 s by default. */
  readonly listenerDrainSeconds?: number;
  readonly extraArguments?: readonly string[];
}

export interface PreparedLaunch extends Launch {
  readonly directory: string;
  /** Envoy's arguments, without those of one run. */
  readonly arguments: readonly string[];
  /** Deletes the directory; to be called when no run from it is left. */
  close(): Promise<void>;
}

export const drainSecondsOf = ({ listenerDrainSeconds = 45 }: Launch): number => listenerDrainSeconds;

/** Rejects when a secret's file cannot be read. onNotice is told of later faults with them. */
export async function prepareLaunch(launch: Launch, onNotice: (notice: string) => void): Promise<PreparedLaunch> {
  const directory = await mkdtemp(join(tmpdir(), "headgate-envoy-"));
  try {
    const secrets = await followSecrets(launch.bootstrap, directory, onNotice);
    const file = join(directory, "bootstrap.json");
    await writeFile(file, JSON.stringify(secrets.bootstrap), { mode: 0o600 });
    return {
      ...launch,
      directory,
      arguments: argumentsOf(launch, file),
      async close() {
        secrets.close();
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

/** What Envoy has against it, in its own words; undefined when it would start. */
export async function findFault({ binary, arguments: words }: PreparedLaunch): Promise<string | undefined> {
  try {
    await promisify(execFile)(binary, ["--mode", "validate", "--disable-hot-restart", ...words], {
      timeout: VALIDATION_MS,
      killSignal: "SIGKILL",
    });
    return undefined;
  } catch (error) {
    const { stderr = "", stdout = "", message } = error as Error & { stderr?: string; stdout?: string };
    return `${stderr}${stdout}`.trim().split("\n").at(-1) || message;
  }
}

function argumentsOf(launch: Launch, file: string): string[] {
  const { concurrency, logLevel = "warning", extraArguments = [] } = launch;
  return [
    ...["-c", file, "--log-level", logLevel],
    ...["--drain-time-s", String(drainSecondsOf(launch)), "--drain-strategy", "immediate"],
    ...(concurrency === undefined ? [] : ["--concurrency", String(concurrency)]),
    ...extraArguments,
  ];
}
