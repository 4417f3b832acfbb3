// A whole Headgate in a test: a control plane over a directory, and real Envoys under it.
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ProxyView } from "../../controlplane/admin/proxies.js";
import { createBootstrap } from "../../controlplane/agent/bootstrap.js";
import { packagePath } from "../../controlplane/agent/package-root.js";
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from "../../controlplane/main.js";
import type { Violation } from "../../controlplane/resources/violation.js";
import { createDirectoryStorage } from "../../controlplane/rollout/directory-storage.js";
import type { FilterView } from "../../controlplane/rollout/view.js";
import { loopbackAddress } from "./addresses.js";
import { startTestEnvoy, type TestEnvoy } from "./envoy.js";
import { TRIAL_THREAD } from "./filter-modules.js";
import type { Scope } from "./scope.js";
import { eventually } from "./waiting.js";

/** A sidecar or gateway; `address` is the loopback address that is its own. */
export interface TestProxy extends TestEnvoy {
  readonly address: string;
  readonly id: string;
}

export interface TestProxyOptions {
  readonly name: string;
  readonly role?: "sidecar" | "router";
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** A fresh one by default. */
  readonly address?: string;
  readonly dnsResolver?: { readonly host: string; readonly port: number };
  readonly locality?: { readonly region: string; readonly zone?: string; readonly subzone?: string };
  /** Node metadata beside that of every proxy, as the paths of its certificates. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface TestMeshOptions {
  /** Where proxies log each request; nowhere by default. */
  readonly accessLog?: string;
  /** Where workloads that register themselves are kept. */
  readonly registrations?: NonNullable<ControlPlaneOptions["registrations"]>;
  /** The filter registry's directory. */
  readonly filters?: string;
  /** The cluster that is read beside the directory. */
  readonly kubernetes?: NonNullable<ControlPlaneOptions["kubernetes"]>;
  /** Has that cluster told what became of its policies. */
  readonly kubeStatus?: NonNullable<ControlPlaneOptions["kubeStatus"]>;
  /** Told of each state that was published. */
  readonly onState?: NonNullable<ControlPlaneOptions["onState"]>;
  /** Where fetched modules are kept. */
  readonly moduleCache?: string;
}

export interface TestMesh {
  /** host:port of ADS. */
  readonly ads: string;
  /** The directory that the control plane reads. */
  readonly directory: string;
  /** Writes a file and waits until every proxy has answered what it changed. */
  apply(file: string, yaml: string): Promise<void>;
  remove(file: string): Promise<void>;
  startProxy(options: TestProxyOptions): Promise<TestProxy>;
  proxies(): Promise<ProxyView[]>;
  violations(): Promise<Violation[]>;
  /** Versions and rollouts of filters, with a registry. */
  filters(): Promise<FilterView>;
}

/** Starts a control plane on an empty directory; objects without a namespace belong to "default". */
export async function startTestMesh(scope: Scope, options: TestMeshOptions = {}): Promise<TestMesh> {
  const directory = join(await scope.directory(), "policies");
  await mkdir(directory);
  const controlPlane = scope.use(await startOn(directory, options));
  const admin = async (path: string) => (await fetch(`http://${controlPlane.admin}${path}`)).json();
  const state = async () => (await admin("/proxies")) as { revision: number; proxies: ProxyView[] };

  async function settled(after: number): Promise<void> {
    await eventually("every proxy answers the change", async () => {
      const { revision, proxies } = await state();
      const connected = proxies.filter((proxy) => proxy.connected);
      return (
        revision > after &&
        connected.every((proxy) => proxy.acknowledgedRevision >= revision && proxy.state !== "stale")
      );
    });
  }

  return {
    ads: controlPlane.ads,
    directory,
    async apply(file, yaml) {
      const { revision } = await state();
      await writeFile(join(directory, `.${file}`), yaml);
      await rename(join(directory, `.${file}`), join(directory, file));
      await settled(revision);
    },
    async remove(file) {
      const { revision } = await state();
      await rm(join(directory, file));
      await settled(revision);
    },
    startProxy: (options) => startProxy(scope, controlPlane, options),
    proxies: async () => (await state()).proxies,
    filters: async () => (await admin("/filters")) as FilterView,
    violations: async () => ((await admin("/violations")) as { violations: Violation[] }).violations,
  };
}

function startOn(directory: string, { filters, ...options }: TestMeshOptions): Promise<ControlPlane> {
  return startControlPlane({
    ...options,
    ...(filters === undefined ? {} : { filters: createDirectoryStorage(filters) }),
    directories: [directory],
    defaultNamespace: "default",
    rootNamespace: "istio-system",
    ads: "127.0.0.1:0",
    admin: "127.0.0.1:0",
    trafficFilter: packagePath("build", "traffic.wasm"),
    tryFilter: packagePath("build", "try.wasm"),
    trialThread: TRIAL_THREAD,
    onFault: (whom, error) => console.error(whom, error),
  });
}

async function startProxy(scope: Scope, controlPlane: ControlPlane, options: TestProxyOptions): Promise<TestProxy> {
  const address = options.address ?? (await loopbackAddress(scope));
  const [host = "", port = ""] = controlPlane.ads.split(":");
  const identity = {
    role: options.role ?? ("sidecar" as const),
    name: options.name,
    namespace: options.namespace ?? "default",
    addresses: [address] as const,
    labels: options.labels ?? {},
    interceptionMode: "NONE" as const,
    unprivileged: true,
    ...(options.locality ? { locality: options.locality } : {}),
  };
  const bootstrap = createBootstrap(
    { ...identity, addresses: [address] },
    { ads: { host, port: Number(port) }, ...(options.dnsResolver ? { dnsResolver: options.dnsResolver } : {}) },
  ) as { node: { metadata: object } };
  Object.assign(bootstrap.node.metadata, options.metadata);
  const envoy = await startTestEnvoy(scope, bootstrap);
  const { namespace, role, name } = identity;
  return { ...envoy, address, id: `${role}~${address}~${name}.${namespace}~${namespace}.svc.cluster.local` };
}
