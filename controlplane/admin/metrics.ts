// What Prometheus reads of the control plane. No label ever has a proxy's, host's or resource's name: their number must
// not grow with the mesh.
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { AdsEvent } from "../xds/events.js";
import { DELIVERY_CAUSES, Deliveries } from "./deliveries.js";
import { addProcessMetrics } from "./process-metrics.js";
import { addStateMetrics, type StateSources } from "./state-metrics.js";
import { shortType, TYPE_URLS } from "./type-names.js";

export interface Metrics {
  /**
   * Times the work that brings all proxies' snapshots up to a new state of the sources. It says at once of each proxy for
   * whom that changes something.
   */
  timeUpdate(work: (touched: (proxy: string) => void) => Promise<void>): Promise<void>;
  /** A proxy is being let in. */
  connecting(proxy: string): void;
  /** Nothing more is on its way to a proxy. */
  disconnected(proxy: string): void;
  /** A stream was not let in; the code is a gRPC status' name. */
  refused(code: string): void;
  event(event: AdsEvent): void;
  /** In Prometheus' text format. */
  render(): Promise<{ readonly text: string; readonly contentType: string }>;
  close(): void;
}

/** Seconds. */
const DELIVERY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const TRANSLATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createMetrics(sources: StateSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const refusals = new Counter({
    name: "headgate_ads_refused_streams_total",
    help: "Streams that were not let in, for what the client said or showed.",
    labelNames: ["code"],
    registers,
  });
  const delivery = new Histogram({
    name: "headgate_delivery_seconds",
    help: "From a change of the sources, or a proxy's connecting, until the proxy has answered all that it meant for it.",
    labelNames: ["cause"],
    buckets: DELIVERY_BUCKETS,
    registers,
  });
  for (const cause of DELIVERY_CAUSES) delivery.zero({ cause });
  const translation = new Histogram({
    name: "headgate_translation_seconds",
    help: "From a new state of the sources until the snapshots of all connected proxies are up to it.",
    buckets: TRANSLATION_BUCKETS,
    registers,
  });
  const countResponse = addResponseMetrics(registry);
  const countStream = addStreamMetrics(registry);
  addStateMetrics(registry, sources);
  const stopProcess = addProcessMetrics(registry);
  const deliveries = new Deliveries();

  return {
    async timeUpdate(work) {
      const start = performance.now();
      await work((proxy) => deliveries.begin(proxy, "change", start));
      translation.observe((performance.now() - start) / 1000);
    },
    connecting: (proxy) => deliveries.begin(proxy, "connect", performance.now()),
    disconnected: (proxy) => deliveries.drop(proxy),
    refused: (code) => refusals.inc({ code }),
    event(event) {
      countResponse(event);
      countStream(event);
      if (event.type !== "delivered") return;
      const ended = deliveries.end(event.key, performance.now());
      if (ended) delivery.observe({ cause: ended.cause }, ended.millis / 1000);
    },
    render: async () => ({ text: await registry.metrics(), contentType: registry.contentType }),
    close: stopProcess,
  };
}

function addResponseMetrics(registry: Registry): (event: AdsEvent) => void {
  const perType = (name: string, help: string) => {
    const registers = [registry];
    const counter = new Counter({ name: `headgate_ads_${name}_total`, help, labelNames: ["type"], registers });
    // All that there can be, from the start: a series that appears late hides its first increase.
    for (const typeUrl of TYPE_URLS.values()) counter.inc({ type: shortType(typeUrl) }, 0);
    return counter;
  };
  const pushes = perType("pushes", "Responses sent to proxies.");
  const bytes = perType("pushed_bytes", "Bytes of the responses sent to proxies.");
  const resources = perType("pushed_resources", "Resources sent to proxies.");
  const removals = perType("removed_resources", "Removals of resources sent to proxies.");
  const acknowledgements = perType("acknowledgements", "Responses that proxies acknowledged (ACK).");
  const rejections = perType("rejections", "Responses that proxies rejected (NACK).");
  return (event) => {
    if (event.type === "ack") acknowledgements.inc({ type: shortType(event.typeUrl) });
    if (event.type === "nack") rejections.inc({ type: shortType(event.typeUrl) });
    if (event.type !== "push") return;
    const type = shortType(event.typeUrl);
    pushes.inc({ type });
    bytes.inc({ type }, event.bytes);
    resources.inc({ type }, event.resources);
    removals.inc({ type }, event.removed);
  };
}

function addStreamMetrics(registry: Registry): (event: AdsEvent) => void {
  const registers = [registry];
  const open = new Map<string, number>();
  const streams = new Gauge({ name: "headgate_ads_streams", help: "Streams that are open.", registers });
  new Gauge({
    name: "headgate_proxies",
    help: "Proxies that are connected.",
    registers,
    collect() {
      this.set(open.size);
    },
  });
  const faults = new Counter({
    name: "headgate_ads_faults_total",
    help: "Streams that ended by a defect of the control plane.",
    registers,
  });
  return ({ type, key }) => {
    if (type === "fault") faults.inc();
    if (type === "connect") {
      streams.inc();
      open.set(key, (open.get(key) ?? 0) + 1);
    }
    if (type !== "disconnect") return;
    streams.dec();
    const left = (open.get(key) ?? 1) - 1;
    if (left > 0) open.set(key, left);
    else open.delete(key);
  };
}
