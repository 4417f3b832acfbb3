// Wires the arrow: sources -> resources -> mesh -> translate -> snapshots -> ADS, with the admin beside it.
import { readFile } from "node:fs/promises";
import { createMetrics } from "./admin/metrics.js";
import { createAdmin } from "./admin/server.js";
import { createAdmission, createCallAdmission, type Refused } from "./identity/admission.js";
import type { AdsSecurity } from "./identity/ads-security.js";
import { TRUSTING } from "./identity/authenticate.js";
import { KubeStatus, type KubeStatusOptions } from "./kube-status/kube-status.js";
import { type Extension, extensionsFor } from "./mesh/extensions.js";
import { ExtensionModules } from "./modules/extension-modules.js";
import type { ModuleFault } from "./modules/fault.js";
import { ModuleCache } from "./modules/module-cache.js";
import { pinsOf } from "./modules/pins.js";
import { FILTER_NAME } from "./policy/compile.js";
import { Publisher } from "./publish/publisher.js";
import { Revisions } from "./publish/revisions.js";
import { Updates } from "./publish/updates.js";
import { createDirectoryEntries } from "./registration/directory-entries.js";
import type { Entries } from "./registration/entries.js";
import { Registrations } from "./registration/registrations.js";
import { FilterRegistry } from "./registry/registry.js";
import { createMetricsService } from "./rollout/metrics-service.js";
import type { Rollout } from "./rollout/plan.js";
import { createRollouts } from "./rollout/rollouts.js";
import type { FollowedStorage } from "./rollout/storage.js";
import { createDirectorySource } from "./sources/directory.js";
import { createKubernetesSource, type KubernetesSourceOptions } from "./sources/kubernetes.js";
import { createMergedSource } from "./sources/merged.js";
import type { SourceState } from "./sources/source.js";
import { extensionName } from "./translate/extension-config.js";
import { SnapshotCache } from "./xds/cache.js";
import type { AdsEvent } from "./xds/events.js";
import { createAdsServer } from "./xds/server.js";

export interface ControlPlaneOptions {
  /** Directories of YAML; where two define the same object, the earlier one's stands. */
  readonly directories: readonly string[];
  /** The cluster that is read too; objects of the directories win over its own. Its client is closed at the end. */
  readonly kubernetes?: Omit<KubernetesSourceOptions, "defaultNamespace">;
  /** Has the cluster told what became of its policies; without it, or without a cluster, it is not. */
  readonly kubeStatus?: KubeStatusOptions;
  /** The namespace of objects that name none. */
  readonly defaultNamespace: string;
  readonly rootNamespace: string;
  /** host:port, port 0 for a free one. */
  readonly ads: string;
  readonly admin: string;
  /** The path of the traffic filter's module. */
  readonly trafficFilter: string;
  /** The path of the module that draws faults for every try. */
  readonly tryFilter: string;
  /** Where versions of filters and their rollouts lie; without it every proxy has the module above. */
  readonly filters?: FollowedStorage;
  /** Where fetched modules of extensions are kept; without it they are fetched anew at each start. */
  readonly moduleCache?: string;
  /** See CheckRequest. */
  readonly trialThread?: URL;
  /** See ModuleWays. */
  readonly plainRegistries?: readonly string[];
  /** An extension got its module, or has a fault. */
  readonly onExtension?: (extension: Extension, fault: ModuleFault | undefined) => void;
  /** The directory of workloads that register themselves in WorkloadGroups, or how they come into the cluster; or none does. */
  readonly registrations?: string | Entries;
  /** A proxy that cannot register itself, and why. */
  readonly onRegistrationRefused?: (proxy: string, reason: string) => void;
  /** A rollout of a filter's version begins, goes on or ends. */
  readonly onRollout?: (rollout: Rollout) => void;
  /** See TranslateOptions. */
  readonly accessLog?: string;
  /** How proxies are known; without it, over plaintext on loopback, all are believed. Closed with the control plane. */
  readonly security?: AdsSecurity;
  /** See AdminOptions. */
  readonly allowRemoteAdmin?: boolean;
  readonly onEvent?: (event: AdsEvent) => void;
  readonly onRefused?: (refused: Refused) => void;
  /** A fault of ours in what a proxy should get; it keeps what it has. */
  readonly onFault?: (proxy: string, error: unknown) => void;
  /** A fault of ours in an answer of the admin's. */
  readonly onAdminFault?: (path: string, error: unknown) => void;
  readonly onState?: (state: SourceState) => void;
}

export interface ControlPlane {
  /** host:port that are served. */
  readonly ads: string;
  readonly admin: string;
  /** In Prometheus' text format. */
  metrics(): Promise<string>;
  close(): Promise<void>;
}

/** Resolves once the sources are read and both addresses are served. Rejects when it cannot start. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const ways = options.security?.ways ?? TRUSTING;
  const cache = new SnapshotCache();
  const revisions = new Revisions();
  const publisher = new Publisher({
    cache,
    mesh: { rootNamespace: options.rootNamespace },
    onFault: (proxy, error) => options.onFault?.(proxy.id, error),
    translate: {
      trafficFilter: {
        wasm: await readFile(options.trafficFilter),
        moduleFor: (proxy) => rollouts?.moduleFor(FILTER_NAME, proxy),
      },
      tryFilter: await readFile(options.tryFilter),
      extension: (extension, proxy) => modules.moduleFor(extension, proxy),
      ...(options.accessLog === undefined ? {} : { accessLog: options.accessLog }),
    },
  });
  const rollouts =
    options.filters === undefined
      ? undefined
      : createRollouts({
          storage: options.filters,
          ...(options.kubernetes?.signal ? { signal: options.kubernetes.signal } : {}),
          filter: FILTER_NAME,
          proxies: () => publisher.proxies,
          uses: (filter, id) => {
            const proxy = publisher.proxies.get(id);
            return proxy ? extensionsFor(publisher.mesh, proxy).filter(runs(filter)).map(extensionName) : [];
          },
          statuses: (proxy) => ads.status(proxy),
          admit: createCallAdmission(ways, () => publisher.proxies),
          republish: () => publisher.republish(),
          onFault: (error) => options.onFault?.("filters", error),
          ...(options.onRollout ? { onChange: options.onRollout } : {}),
        });
  const modules = new ExtensionModules({
    ...(options.moduleCache === undefined ? {} : { cache: new ModuleCache(options.moduleCache) }),
    ...(options.filters === undefined ? {} : { registry: new FilterRegistry(options.filters.versions) }),
    ...(options.plainRegistries ? { plainRegistries: options.plainRegistries } : {}),
    ...(rollouts ? { chosen: rollouts } : {}),
    ...(options.trialThread ? { thread: options.trialThread } : {}),
    onChange: () => publisher.republish(),
    onOutcome: (extension, fault) => {
      told?.changed();
      options.onExtension?.(extension, fault);
    },
    onFault: (error) => options.onFault?.("the modules of extensions", error),
  });
  const statistics = rollouts?.metrics ?? createMetricsService();
  const registrations =
    options.registrations === undefined
      ? undefined
      : new Registrations({
          entries:
            typeof options.registrations === "string"
              ? createDirectoryEntries(options.registrations)
              : options.registrations,
          group: (namespace, name) => {
            const found = current?.resources.get(`WorkloadGroup/${namespace}/${name}`);
            return found?.kind === "WorkloadGroup" ? found : undefined;
          },
          onRefused: (proxy, reason) => options.onRegistrationRefused?.(proxy.id, reason),
          onFault: (error) => options.onFault?.("workloads that register themselves", error),
        });
  const { defaultNamespace } = options;
  const fromDirectory = (directory: string) => createDirectorySource({ directory, defaultNamespace });
  const cluster = options.kubernetes && createKubernetesSource({ ...options.kubernetes, defaultNamespace });
  const source = createMergedSource([
    ...options.directories.map(fromDirectory),
    ...(cluster === undefined ? [] : [cluster]),
    ...(typeof options.registrations === "string" ? [fromDirectory(options.registrations)] : []),
  ]);
  let current: SourceState | undefined;
  const violations = () => [...(current?.violations ?? []), ...publisher.mesh.violations, ...modules.violations];
  const metrics = createMetrics({
    resources: () => current?.resources.values() ?? [],
    violations,
    certificateExpiresAt: () => options.security?.tls?.expiresAt,
    waitingStreams: () => ads.waitingStreams,
  });
  const updates = new Updates(
    async (state, before) => {
      await metrics.timeUpdate(async (touched) => {
        await publisher.update(state, (proxy) => {
          revisions.touched(proxy);
          touched(proxy);
        });
      });
      rollouts?.pinned(pinsOf(publisher.mesh.extensions));
      // Before proxies are served for the first time, they must not be told that modules are gone.
      const known = modules
        .update(publisher.mesh)
        .catch((error) => options.onFault?.("the modules of extensions", error));
      if (current === undefined) await known;
      current = state;
      registrations?.changed(state.changed, (key) => state.resources.has(key));
      const { mesh } = publisher;
      revisions.published(
        before,
        state,
        () => state.violations.length + mesh.violations.length + modules.violations.length,
      );
      told?.taken(state);
      options.onState?.(state);
    },
    (error) => options.onFault?.("every proxy", error),
  );

  const ads = createAdsServer({
    cache,
    synced: () => current !== undefined,
    onConnect: createAdmission({
      ways,
      onAdmitted: async (proxy) => {
        revisions.connected(proxy.id);
        metrics.connecting(proxy.id);
        await publisher.connect(proxy);
        // While one Envoy takes over from another, the one with the newer settings speaks for the proxy.
        registrations?.connected(publisher.proxies.get(proxy.id) ?? proxy);
      },
      onRefused: (refused) => {
        metrics.refused(refused.code);
        options.onRefused?.(refused);
      },
    }),
    onDisconnect: (key) => {
      publisher.disconnect(key);
      registrations?.disconnected(key);
      revisions.disconnected(key);
      metrics.disconnected(key);
      rollouts?.disconnected(key);
      told?.gone(key);
    },
    onEvent: (event) => {
      if (event.type === "nack") revisions.rejected(event.key, event.typeUrl, event.error);
      if (event.type === "answered") revisions.settled(event.key);
      metrics.event(event);
      told?.event(event);
      options.onEvent?.(event);
    },
    ...(options.security?.tls ? { tls: options.security.tls } : {}),
    services: [statistics],
  });

  const told =
    options.kubernetes && cluster && options.kubeStatus
      ? new KubeStatus(
          {
            client: options.kubernetes.client,
            source: cluster,
            defaultNamespace,
            publisher,
            revisions,
            statuses: (proxy) => ads.status(proxy),
            violations: () => [...publisher.mesh.violations, ...modules.violations],
          },
          options.kubeStatus,
        )
      : undefined;
  options.security?.onTls((tls) => ads.replaceTls(tls));
  const admin = createAdmin({
    publisher,
    revisions,
    violations,
    statuses: () => ads.status(),
    config: {
      snapshot: (proxy) => cache.get(proxy),
      standing: (proxy, typeUrl, name, version) => ads.standing(proxy, typeUrl, name, version),
    },
    metrics,
    settings: {
      defaultNamespace: options.defaultNamespace,
      rootNamespace: options.rootNamespace,
      ...(options.accessLog === undefined ? {} : { accessLog: options.accessLog }),
    },
    allowRemote: options.allowRemoteAdmin ?? false,
    onFault: (path, error) => options.onAdminFault?.(path, error),
    ...(rollouts ? { filters: () => rollouts.view() } : {}),
  });
  const close = async () => {
    await told?.close();
    await source.close();
    await registrations?.close();
    await rollouts?.close();
    options.kubernetes?.client.close();
    await modules.close();
    statistics.close();
    metrics.close();
    options.security?.close();
    revisions.close();
    await Promise.all([ads.close(), admin.close()]);
  };
  try {
    await rollouts?.start();
    await registrations?.start();
    await updates.offer(await source.start((state) => void updates.offer(state)));
    await publisher.prewarm(options.defaultNamespace);
    told?.start();
    return {
      ads: await ads.listen(options.ads),
      admin: await admin.listen(options.admin),
      metrics: async () => (await metrics.render()).text,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Whether an extension runs the version of a filter that was chosen by a rollout. */
function runs(filter: string): (extension: Extension) => boolean {
  return ({ spec: { wasm } }) =>
    wasm?.source.type === "registry" && wasm.source.filter === filter && wasm.source.version === undefined;
}
