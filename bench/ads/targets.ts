// What the control plane must hold at scale, and whether a run's results do.
import type { Results } from "./main.js";

export interface Target {
  readonly name: string;
  readonly measured: string;
  readonly met: boolean;
}

const KB = 1_000;
const MB = 1_000_000;

/** The targets of what was measured; what was not is left out. */
export function targets({ changes, storm, stalled, churn, repoints, rejected, hostile }: Results): Target[] {
  return [
    ...changes.flatMap((row) => {
      const size = `${row.services} x ${row.proxies}`;
      if (row.services > 5_000 || row.proxies > 50) return [];
      const within = row.services <= 1_000 ? 60 : 150;
      return [
        atMost(`${size}: change to last proxy`, row.changeMillis, within, "ms"),
        atMost(`${size}: bytes per proxy and change`, row.changeBytesPerProxy / KB, 30, "kB"),
        atMost(`${size}: CPU per change`, row.changeCpuMillis, 200, "ms"),
        atMost(`${size}: first synchronisation of all`, row.firstSyncMillis / 1000, 4, "s"),
        atMost(`${size}: peak RSS`, row.peakRss / MB, 600, "MB"),
        atMost(`${size}: event loop held`, Math.max(row.firstSyncHoldMillis, row.changeHoldMillis), 50, "ms"),
      ];
    }),
    ...(storm ? stormTargets(storm) : []),
    ...(stalled
      ? [
          atMost("stalled client: the others' p99", stalled.withMillis.p99 / stalled.withoutMillis.p99, 1.1, "times"),
          atMost("stalled client: memory", stalled.memoryBytes / MB, 10, "MB"),
        ]
      : []),
    ...(churn
      ? [
          atMost("churn: RSS", churn.rss[1] / churn.rss[0], 1.05, "times"),
          atMost("churn: open files", churn.openFiles[1] - churn.openFiles[0], 0, "more"),
          atMost("churn: watches", churn.watches[1] - churn.watches[0], 0, "more"),
          atMost("churn: streams", churn.streams, churn.proxies, ""),
        ]
      : []),
    ...(repoints
      ? [
          atMost("repoints: failed requests", repoints.failed, 0, ""),
          atMost("repoints: misrouted requests", repoints.misrouted, 0, ""),
        ]
      : []),
    ...(rejected
      ? [
          atMost("rejection: told of", rejected.slowestMillis, 1_000, "ms"),
          atMost("rejection: responses after it", rejected.sentAgain, 0, ""),
        ]
      : []),
    ...(hostile ? hostileTargets(hostile) : []),
  ];
}

function stormTargets({ reconnect, restart, firstSyncPeakRss }: NonNullable<Results["storm"]>): Target[] {
  const peakRss = Math.max(firstSyncPeakRss, reconnect.peakRss, restart.peakRss);
  return [
    atMost("storm: converged after a reconnect", reconnect.convergedMillis / 1000, 30, "s"),
    atMost("storm: converged after a restart", restart.convergedMillis / 1000, 30, "s"),
    atMost("storm: resources sent again", reconnect.resourcesSent + restart.resourcesSent, 0, ""),
    atMost("storm: peak RSS", peakRss / MB, 1_500, "MB"),
  ];
}

/** The others are served, though they may have to wait; how long is ours to say. */
function hostileTargets({ lives, left, hostileP99Millis, newProxyMillis }: NonNullable<Results["hostile"]>): Target[] {
  return [
    { name: "hostile clients: the process lives", measured: lives ? "it does" : "it does not", met: lives },
    atMost("hostile clients: streams that are left", left, 0, ""),
    atMost("hostile clients: the others' p99", hostileP99Millis / 1000, 5, "s"),
    atMost("hostile clients: a new proxy is served", newProxyMillis / 1000, 30, "s"),
  ];
}

function atMost(name: string, value: number, most: number, unit: string): Target {
  return {
    name: `${name} <= ${most} ${unit}`.trim(),
    measured: `${Number(value.toFixed(2))} ${unit}`.trim(),
    met: value <= most,
  };
}
