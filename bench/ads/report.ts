// A run's results as people read them.
import { table } from "../../controlplane/cli/table.js";
import { counted } from "../../controlplane/cli/violation-text.js";
import type { Results } from "./main.js";
import type { Target } from "./targets.js";

const MB = 1_000_000;

export function report(results: Results, judged: readonly Target[]): string {
  const { machine, runs, changes, storm, stalled, churn, repoints, rejected, hostile } = results;
  const parts = [
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; load average ${machine.load.toFixed(1)} at the end of the table`,
  ];
  if (changes.length > 0)
    parts.push(
      changeTable(changes),
      `medians of ${counted(runs, "run")}; in brackets the slowest change, and the time of a processor in which the loop was held`,
    );
  if (storm) {
    const row = (
      name: string,
      {
        convergedMillis,
        resourcesSent,
        bytesSent,
        refused,
        peakRss,
        cpuMillis,
        proxiesCpuMillis,
      }: typeof storm.restart,
    ) => [
      name,
      seconds(convergedMillis),
      String(resourcesSent),
      megabytes(bytesSent),
      String(refused),
      megabytes(peakRss),
      seconds(cpuMillis),
      seconds(proxiesCpuMillis),
    ];
    parts.push(
      `${storm.services} services x ${storm.proxies} streams; first synchronisation ${seconds(storm.firstSyncMillis)}, peak RSS ${megabytes(storm.firstSyncPeakRss)}`,
      table(
        [
          "ALL COME BACK AFTER",
          "CONVERGED",
          "RESOURCES SENT",
          "SENT",
          "TURNED AWAY",
          "PEAK RSS",
          "CPU",
          "PROXIES' CPU",
        ],
        [row("lost connections", storm.reconnect), row("a killed control plane", storm.restart)],
      ),
    );
  }
  if (stalled) {
    const row = (name: string, { p50, p99 }: typeof stalled.withMillis) => [name, millis(p50), millis(p99)];
    parts.push(
      table(
        ["CHANGE -> PROXY", "p50", "p99"],
        [row("all read", stalled.withoutMillis), row("one stalled", stalled.withMillis)],
      ),
      `memory with the stalled client: ${megabytes(stalled.memoryBytes)} more`,
    );
  }
  if (churn) {
    const { changes: made, services, proxies, rss, heap, openFiles, watches, streams } = churn;
    const row = (name: string, [early, late]: readonly [number, number], show = megabytes) => [
      name,
      show(early),
      show(late),
      `${(100 * (late / early - 1)).toFixed(1)} %`,
    ];
    parts.push(
      `${made} changes of ${services} services, ${proxies} proxies, in ${churn.seconds.toFixed(0)} s; ${streams} streams at the end`,
      table(
        ["AFTER GARBAGE COLLECTION", "AFTER A TENTH", "AT THE END", "GROWTH"],
        [row("RSS", rss), row("heap", heap), row("open files", openFiles, String), row("watches", watches, String)],
      ),
    );
  }
  if (repoints) {
    parts.push(
      `${repoints.repoints} repoints, ${repoints.requests} requests: ${repoints.failed} failed, ${repoints.misrouted} misrouted; a repoint took ${millis(repoints.medianMillis)}, p99 ${millis(repoints.p99Millis)}`,
      ...repoints.examples,
    );
  }
  if (rejected) {
    parts.push(
      `a rejection was told of after ${millis(rejected.medianMillis)}, at most ${millis(rejected.slowestMillis)}; ${rejected.sentAgain} responses after it`,
    );
  }
  if (hostile) parts.push(hostileReport(hostile));
  parts.push(
    table(
      ["TARGET", "MEASURED", "MET"],
      judged.map(({ name, measured, met }) => [name, measured, met ? "yes" : "NO"]),
    ),
  );
  return `${parts.map((part) => part.trimEnd()).join("\n\n")}\n`;
}

function hostileReport(hostile: NonNullable<Results["hostile"]>): string {
  const { ended, left, quietP99Millis, hostileP99Millis, newProxyMillis, memoryBytes } = hostile;
  const how = Object.entries(ended).map(([status, count]) => `${count} with ${status}`);
  return `hostile streams ended by gRPC status: ${how.join(", ")}; ${left} are left, and ${megabytes(memoryBytes)} of memory
change -> proxy, p99: ${millis(quietP99Millis)} before, ${millis(hostileP99Millis)} meanwhile; a new proxy had everything after ${seconds(newProxyMillis)}`;
}

function changeTable(changes: Results["changes"]): string {
  const columns = ["SERVICES x PROXIES", "CHANGE -> LAST PROXY", "PER PROXY", "CPU"];
  const rest = ["FIRST SYNC", "OF A PROXY", "CPU", "PEAK RSS", "HELD: SYNC", "CHANGES", "READY AFTER"];
  return table(
    [...columns, ...rest],
    changes.map((row) => [
      `${row.services} x ${row.proxies}${row.namespaces > 1 ? ` in ${row.namespaces}` : ""}`,
      `${millis(row.changeMillis)} (${millis(row.slowestChangeMillis)})`,
      `${(row.changeBytesPerProxy / 1_000).toFixed(1)} kB`,
      millis(row.changeCpuMillis),
      seconds(row.firstSyncMillis),
      megabytes(row.firstSyncBytesPerProxy),
      seconds(row.firstSyncCpuMillis),
      megabytes(row.peakRss),
      `${millis(row.firstSyncHoldMillis)} (${millis(row.firstSyncWorkMillis)})`,
      `${millis(row.changeHoldMillis)} (${millis(row.changeWorkMillis)})`,
      seconds(row.startMillis),
    ]),
  );
}

function millis(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

function seconds(value: number): string {
  return `${(value / 1_000).toFixed(2)} s`;
}

function megabytes(value: number): string {
  return `${(value / MB).toFixed(1)} MB`;
}
