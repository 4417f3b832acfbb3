// WasmPlugin (extensions.istio.io/v1alpha1): a Wasm filter in the proxies of some workloads.
import type { ModuleSource } from "./module-source.js";
import type { Resource } from "./resource.js";

/** Where in the filter chain an extension stands; Istio's words. */
export type Phase = "AUTHN" | "AUTHZ" | "STATS" | "UNSPECIFIED";

export interface TrafficSelector {
  /** What the workload asks for, what it is asked for, or both. */
  readonly mode: "CLIENT" | "SERVER" | "CLIENT_AND_SERVER";
  /** The service's ports, for what the workload asks for; else those that the workload listens on. Empty: every port. */
  readonly ports: readonly number[];
}

/** Which requests an extension sees, and when. */
export interface Placement {
  /** Labels of the workloads; empty for all of the namespace, or of the mesh for an object of the root namespace. */
  readonly selector: Readonly<Record<string, string>>;
  readonly phase: Phase;
  /** Within a phase, the higher goes first. */
  readonly priority: number;
  /** One of them must hold; none means all traffic. */
  readonly match: readonly TrafficSelector[];
}

/** A module, and how it is run. */
export interface WasmFilter {
  /** As written. */
  readonly url: string;
  readonly source: ModuleSource;
  /** Hexadecimal: of the module, or of an image's manifest. */
  readonly sha256?: string;
  /** Whether a module that was fetched before will do. */
  readonly pullPolicy: "IfNotPresent" | "Always";
  /** The name of a Secret of the same namespace. */
  readonly pullSecret?: string;
  /** JSON for the plugin; empty for none. */
  readonly configuration: string;
  /** The root id, by which a module of several plugins knows which is meant; may be empty. */
  readonly pluginName: string;
  /** What becomes of requests while the filter is not there, or broken. */
  readonly failStrategy: "FAIL_CLOSE" | "FAIL_OPEN" | "FAIL_RELOAD";
  readonly environment: ReadonlyMap<string, string>;
  /** Variables whose values are those of the proxy's own environment. */
  readonly hostEnvironment: readonly string[];
}

export interface WasmPluginSpec extends Placement {
  readonly wasm: WasmFilter;
}

export type WasmPlugin = Resource<"WasmPlugin", WasmPluginSpec>;
