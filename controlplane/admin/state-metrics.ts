// What the metrics say of the state as it is now, worked out at each scrape.
import { Gauge, type Registry } from "prom-client";
import type { AnyResource } from "../resources/kinds.js";
import type { Violation } from "../resources/violation.js";

export interface StateSources {
  readonly resources: () => Iterable<AnyResource>;
  readonly violations: () => readonly Violation[];
  /** Of the ADS server's certificate, milliseconds since the epoch; undefined without TLS. */
  readonly certificateExpiresAt: () => number | undefined;
  /** New streams for which the ADS server has had no time yet. */
  readonly waitingStreams: () => number;
}

export function addStateMetrics(registry: Registry, sources: StateSources): void {
  const registers = [registry];
  new Gauge({
    name: "headgate_objects",
    help: "Objects that are in force, by kind.",
    labelNames: ["kind"],
    registers,
    collect() {
      this.reset();
      for (const { kind } of sources.resources()) this.inc({ kind });
    },
  });
  new Gauge({
    name: "headgate_violations",
    help: "Faults in users' objects that stand now.",
    labelNames: ["severity", "code"],
    registers,
    collect() {
      this.reset();
      for (const { severity, code } of sources.violations()) this.inc({ severity, code });
    },
  });
  new Gauge({
    name: "headgate_ads_certificate_expiry_timestamp_seconds",
    help: "When the certificate that ADS is served with expires; 0 without TLS.",
    registers,
    collect() {
      this.set((sources.certificateExpiresAt() ?? 0) / 1000);
    },
  });
  new Gauge({
    name: "headgate_ads_waiting_streams",
    help: "New streams for which there was no time yet.",
    registers,
    collect() {
      this.set(sources.waitingStreams());
    },
  });
}
