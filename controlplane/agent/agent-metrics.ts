// What Prometheus reads of a proxy: its Envoy's statistics, and what its agent knows of that Envoy.
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Gauge, Registry } from "prom-client";
import { askAdmin } from "./envoy-admin.js";
import type { EnvoyProcess } from "./envoy-process.js";

const SCRAPE_TIMEOUT_MS = 5_000;

export interface AgentMetricsSources {
  readonly envoy: EnvoyProcess;
  /** Undefined when traffic may flow. */
  readonly missing: () => Promise<string | undefined>;
  /** A PEM chain: the certificate by which the proxy is known to the control plane. */
  readonly certificate?: string;
}

/** Gives the text of one scrape. An Envoy that does not answer leaves its part out, and headgate_agent_envoy_up says so. */
export function createAgentMetrics({ envoy, missing, certificate }: AgentMetricsSources): () => Promise<string> {
  const registry = new Registry();
  const gauge = (name: string, help: string) =>
    new Gauge({ name: `headgate_agent_${name}`, help, registers: [registry] });
  const restarts = gauge("envoy_restarts", "Times that Envoy ended by itself and was started again.");
  const takeovers = gauge("envoy_takeovers", "Times that another Envoy has taken over, as settings had changed.");
  const wasmFailures = gauge("wasm_failures", "Times that Envoy has logged that a function of a Wasm module failed.");
  const up = gauge("envoy_up", "1 while Envoy answers.");
  const ready = gauge("ready", "1 while traffic may flow to the proxy.");
  const started = gauge("start_time_seconds", "When the agent was started, in seconds since the epoch.");
  started.set(Math.floor(Date.now() / 1000 - process.uptime()));
  const expiry =
    certificate === undefined
      ? undefined
      : gauge(
          "certificate_expiry_timestamp_seconds",
          "When the proxy's own certificate expires; 0 if it cannot be read.",
        );
  return async () => {
    const ofEnvoy = await envoyStatistics(envoy);
    restarts.set(envoy.restarts);
    takeovers.set(envoy.takeovers);
    wasmFailures.set(envoy.wasmFailures);
    up.set(ofEnvoy === undefined ? 0 : 1);
    ready.set((await missing()) === undefined ? 1 : 0);
    if (expiry && certificate !== undefined) expiry.set(await expiryOf(certificate));
    return (await registry.metrics()) + (ofEnvoy ?? "");
  };
}

async function envoyStatistics({ adminAddress }: EnvoyProcess): Promise<string | undefined> {
  if (!adminAddress) return undefined;
  const answer = await askAdmin(adminAddress, "GET", "/stats/prometheus", SCRAPE_TIMEOUT_MS).catch(() => undefined);
  return answer?.status === 200 ? answer.body : undefined;
}

/** Seconds since the epoch. */
async function expiryOf(file: string): Promise<number> {
  try {
    return Date.parse(new X509Certificate(await readFile(file)).validTo) / 1000;
  } catch {
    return 0;
  }
}
