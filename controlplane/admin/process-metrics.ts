// What the metrics say of the process: memory, CPU, and how long its event loop is held up.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Gauge, type Registry } from "prom-client";

const RESOLUTION_MS = 10;
const QUANTILES = [0.5, 0.99, 1];

/** Gives a function that ends the measuring. Only this registry's metrics are touched, none of the library's globals. */
export function addProcessMetrics(registry: Registry): () => void {
  const registers = [registry];
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  new Gauge({
    name: "headgate_event_loop_lag_seconds",
    help: "How late timers came since the last scrape, beyond the time that they were set for; quantile 1 is the most.",
    labelNames: ["quantile"],
    registers,
    collect() {
      for (const quantile of QUANTILES) {
        const millis = delay.count > 0 ? delay.percentile(quantile * 100) / 1e6 : RESOLUTION_MS;
        this.set({ quantile }, Math.max(0, millis - RESOLUTION_MS) / 1000);
      }
      delay.reset();
    },
  });
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory.",
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Gauge({
    name: "process_cpu_seconds_total",
    help: "CPU time spent, in user and system mode together.",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.set((user + system) / 1e6);
    },
  });
  return () => delay.disable();
}
