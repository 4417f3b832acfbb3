// A real Envoy for a test, from a bootstrap object; it is gone when the scope closes.

import { type AdminAnswer, askAdmin, readStats } from "../../controlplane/agent/envoy-admin.js";
import { findEnvoy } from "../../controlplane/agent/envoy-binary.js";
import { type EnvoyProcess, startEnvoy } from "../../controlplane/agent/envoy-process.js";
import type { Scope } from "./scope.js";

export interface TestEnvoy {
  readonly process: EnvoyProcess;
  /** Everything that Envoy has logged so far. */
  readonly log: readonly string[];
  get(path: string): Promise<AdminAnswer>;
  post(path: string): Promise<AdminAnswer>;
  /** One counter or gauge by its exact name; 0 if nothing has touched it. */
  stat(name: string): Promise<number>;
  /** The active configuration, as /config_dump gives it. */
  configDump(): Promise<{ configs: Record<string, unknown>[] }>;
}

export interface TestEnvoyOptions {
  /** 1 by default: tests share few cores. */
  readonly concurrency?: number;
  readonly logLevel?: string;
  /** Waits for readiness (the default), or only for the admin interface: for an Envoy that must not become ready. */
  readonly until?: "ready" | "live";
  /** What to run in place of the Envoy that set-up got. */
  readonly binary?: string;
}

/**
 * Starts Envoy and resolves when it is ready. Rejects with its last log lines when it refuses the bootstrap. An admin
 * section on a free loopback port is added if the bootstrap has none.
 */
export async function startTestEnvoy(
  scope: Scope,
  bootstrap: object,
  { concurrency = 1, logLevel = "warning", until = "ready", binary }: TestEnvoyOptions = {},
): Promise<TestEnvoy> {
  const log: string[] = [];
  let crash = () => {};
  const crashed = new Promise<never>((_, reject) => {
    crash = () => reject(new Error(`Envoy ended by itself: ${log.slice(-5).join("\n")}`));
  });
  crashed.catch(() => {});
  const envoy = await startEnvoy({
    bootstrap: { admin: ADMIN, ...bootstrap },
    binary: binary ?? (await testEnvoyBinary()),
    logLevel,
    concurrency,
    onLog: (line) => log.push(line),
    onCrash: () => crash(),
  });
  scope.use({ close: () => envoy.stop() });
  const address = await envoy.live();
  if (until === "ready") await Promise.race([envoy.ready(), crashed]);
  const admin = () => envoy.adminAddress ?? address;
  return {
    process: envoy,
    log,
    get: (path) => askAdmin(admin(), "GET", path, PATIENCE_MS),
    post: (path) => askAdmin(admin(), "POST", path, PATIENCE_MS),
    async stat(name) {
      const exactly = `^${name.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&")}$`;
      return (await readStats(admin(), exactly, PATIENCE_MS)).get(name) ?? 0;
    },
    configDump: async () => JSON.parse((await askAdmin(admin(), "GET", "/config_dump?include_eds", PATIENCE_MS)).body),
  };
}

/** How long an Envoy's admin may take for an answer, on a machine with little to spare for it. */
const PATIENCE_MS = 30_000;
const ADMIN = { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } };

/** The Envoy that set-up got; rejects with what to do if there is none. */
export async function testEnvoyBinary(): Promise<string> {
  const found = await findEnvoy({ env: process.env });
  if ("error" in found) throw new Error(found.error);
  return found.value.path;
}
