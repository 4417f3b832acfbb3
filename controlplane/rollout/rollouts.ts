// Rollouts as the control plane has them: the runner over stored filters, told of proxies by ADS and by themselves.
import type { Pin } from "../registry/pins.js";
import { EXTENSION_CONFIG } from "../xds/order.js";
import type { ProxyStatus } from "../xds/status.js";
import type { Candidate } from "./assignment.js";
import { createMetricsService, type MetricsService, type MetricsTaker } from "./metrics-service.js";
import { Observations } from "./observations.js";
import type { Rollout } from "./plan.js";
import type { Acknowledgement } from "./reporter.js";
import { RolloutRunner } from "./runner.js";
import type { FollowedStorage } from "./storage.js";
import { countsOf, type FilterView, filterView } from "./view.js";

export interface RolloutsOptions {
  readonly storage: FollowedStorage;
  /** Ends the start, which may wait for a cluster. */
  readonly signal?: AbortSignal;
  /** The filter that every proxy runs. */
  readonly filter: string;
  readonly proxies: () => ReadonlyMap<string, Candidate>;
  /** What runs another filter: its names in Envoy's statistics, by proxy; empty for one that does not. */
  readonly uses: (filter: string, proxy: string) => readonly string[];
  /** Of one proxy. */
  readonly statuses: (proxy: string) => readonly ProxyStatus[];
  /** Whose word about a proxy counts. */
  readonly admit: MetricsTaker["admit"];
  readonly republish: () => void;
  readonly onFault: (error: unknown) => void;
  readonly onChange?: (rollout: Rollout) => void;
}

export interface Rollouts {
  readonly metrics: MetricsService;
  /** See RolloutRunner. */
  moduleFor(filter: string, proxy: Candidate): Uint8Array | undefined;
  modulesOf(filter: string): readonly Uint8Array[];
  view(): FilterView;
  disconnected(proxy: string): void;
  /** What the policies name now by headgate://FILTER@VERSION. */
  pinned(pins: readonly Pin[]): void;
  /** Resolves once it is known what every proxy should have; rejects when another control plane has the storage. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export function createRollouts(options: RolloutsOptions): Rollouts {
  const observations = new Observations();
  const { storage } = options;
  const now = () => performance.now();
  const uses = (filter: string, { id }: Candidate) => (filter === options.filter ? [filter] : options.uses(filter, id));
  const proxiesOf = (filter: string) =>
    [...options.proxies().values()].filter((proxy) => uses(filter, proxy).length > 0);
  const runner = new RolloutRunner({
    storage,
    observations,
    proxies: proxiesOf,
    namesOf: (filter) => [...new Set(proxiesOf(filter).flatMap((proxy) => uses(filter, proxy)))],
    acknowledgement: (proxy) => acknowledgementOf(options.statuses(proxy)),
    republish: options.republish,
    now,
    onFault: options.onFault,
    ...(options.onChange ? { onChange: options.onChange } : {}),
  });
  const metrics = createMetricsService({
    admit: options.admit,
    onMetrics: (node, message) => {
      if (options.proxies().has(node)) observations.report(node, message, now());
    },
  });
  const view = () => filterView(options.filter, runner, proxiesOf, storage.replicas?.elsewhere ?? []);
  return {
    metrics,
    moduleFor: (filter, proxy) => runner.moduleFor(filter, proxy),
    modulesOf: (filter) => runner.modulesOf(filter),
    view,
    disconnected: (proxy) => observations.disconnected(proxy, now()),
    pinned: (pins) => void storage.recordPins?.(pins).catch(options.onFault),
    async start() {
      await storage.peers.start(options.signal);
      await runner.start(options.signal);
      storage.replicas?.start(() => countsOf(view()));
    },
    async close() {
      await Promise.all([runner.close(), storage.replicas?.close()]);
      await storage.peers.close();
    },
  };
}

/** A proxy that asks for no filters has nothing to acknowledge. */
function acknowledgementOf(statuses: readonly ProxyStatus[]): Acknowledgement {
  const connected = statuses.find((status) => status.disconnectedAt === undefined);
  const type = connected?.types.find(({ typeUrl }) => typeUrl === EXTENSION_CONFIG);
  return {
    acknowledged: connected !== undefined && (type === undefined || type.state === "synced"),
    ...(type?.error ? { rejection: { message: type.error.message, at: type.error.at } } : {}),
  };
}
