// The control plane under measurement: `headgate serve` as its users run it, with the probe beside it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { packagePath } from "../../controlplane/agent/package-root.js";
import { now } from "./clock.js";
import type { Question, Reading } from "./probe.js";

export interface MeasuredControlPlane {
  readonly pid: number;
  readonly ads: string;
  readonly admin: string;
  /** From its start until it served. */
  readonly startMillis: number;
  /** What the process used since the last reading; "collect" collects its garbage before. */
  read(question?: Question): Promise<Reading>;
  /** Ends it as an operator does, so that a profile is written. */
  close(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

export interface ControlPlaneOptions {
  readonly directory: string;
  /** By default one from the kernel. */
  readonly ads?: string;
  /** For node, as --cpu-prof. */
  readonly nodeArguments?: readonly string[];
}

/** As in the images. */
const ENVIRONMENT = { MALLOC_ARENA_MAX: "2", MALLOC_MMAP_THRESHOLD_: "65536" };

/** Rejects with what it said when it ends before it serves. */
export async function startMeasured(options: ControlPlaneOptions): Promise<MeasuredControlPlane> {
  const { directory, ads = "127.0.0.1:0", nodeArguments = [] } = options;
  const started = now();
  const child = spawn(
    process.execPath,
    [
      "--expose-gc",
      ...nodeArguments,
      "--import",
      new URL("./probe.js", import.meta.url).href,
      packagePath("bin", "headgate.mjs"),
      ...["serve", "--config", directory, "--ads", ads, "--admin", "127.0.0.1:0"],
    ],
    { stdio: ["ignore", "pipe", "pipe", "ipc"], env: { ...process.env, ...ENVIRONMENT } },
  );
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-4_000);
  });
  const ended = once(child, "exit");
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await ended;
  };
  const line = once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), "line");
  const first = await Promise.race([line, ended.then(() => undefined)]);
  if (!first) throw new Error(`headgate serve ended: ${said}`);
  const addresses = JSON.parse(String(first[0])) as { ads: string; admin: string };
  return {
    ...addresses,
    pid: child.pid as number,
    startMillis: now() - started,
    read: (question = "read") => ask(child, question),
    close: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
  };
}

async function ask(child: ChildProcess, question: Question): Promise<Reading> {
  if (child.exitCode !== null || child.signalCode !== null) throw new Error("the control plane has ended");
  const answered = new AbortController();
  const [answer, exit] = ["message", "exit"].map((event) => once(child, event, { signal: answered.signal }));
  child.send(question);
  try {
    const [reading] = (await Promise.race([answer, exit?.then(() => [undefined])])) as [Reading | undefined];
    if (!reading) throw new Error("the control plane ended");
    return reading;
  } finally {
    exit?.catch(() => {});
    answered.abort();
  }
}
