// One simulated proxy: it asks the control plane for what Envoy would ask for, in Envoy's order, acknowledges everything,
// and counts what it gets.
import { create, fromBinary, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { AnySchema, anyUnpack } from "@bufbuild/protobuf/wkt";
import { NodeSchema } from "../../controlplane/gen/envoy/config/core/v3/base_pb.js";
import { ListenerSchema } from "../../controlplane/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "../../controlplane/gen/envoy/config/route/v3/route_pb.js";
import { HttpConnectionManagerSchema } from "../../controlplane/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { CLUSTER, ENDPOINTS, EXTENSION_CONFIG, LISTENER, ROUTES, VIRTUAL_HOST } from "../../controlplane/xds/order.js";
import { ADS_PATH, GrpcCall } from "./grpc-call.js";
import { type DeltaRequest, encodeRequest, type ScannedResource, type ScannedResponse, scanResponse } from "./wire.js";

/** The clusters of services; in the measured meshes all of them get their endpoints by EDS. */
const SERVICE_CLUSTER = "outbound|";

export interface ProxyHandlers {
  /** A response came and was answered, or will be once its clusters are warm. */
  readonly onResponse: (proxy: SimulatedProxy, response: ScannedResponse, bytes: number) => void;
  /** The stream ended, with the gRPC status if there was one. */
  readonly onEnd: (proxy: SimulatedProxy, status: string | undefined) => void;
}

/** What it knows of one type; it outlives the stream, as in Envoy. */
interface Known {
  /** Names that were asked for one by one. */
  readonly names: Set<string>;
  readonly held: Map<string, string>;
}

export interface NodeIdentity {
  readonly id: string;
  readonly metadata: JsonObject;
}

export class SimulatedProxy {
  /** Bytes of messages received, and responses, since the last resetCounts(). */
  bytes = 0;
  responses = 0;
  /** Answers the next response of a type with these words in place of an acknowledgement. */
  readonly rejections = new Map<string, string>();
  readonly #node: Uint8Array;
  readonly #types = new Map<string, Known>();
  #call: GrpcCall | undefined;
  #asked = new Set<string>();
  readonly #warming = new Set<string>();
  /** Nonces of CDS responses that are acknowledged once nothing warms. */
  #unanswered: string[] = [];

  constructor(
    readonly identity: NodeIdentity,
    readonly handlers: ProxyHandlers,
  ) {
    this.#node = toBinary(
      NodeSchema,
      create(NodeSchema, { id: identity.id, cluster: "bench", metadata: identity.metadata, userAgentName: "envoy" }),
    );
  }

  /** Opens a stream; after an earlier one it says what it holds. */
  connect(address: string): void {
    this.#asked = new Set();
    this.#warming.clear();
    this.#unanswered = [];
    const call = new GrpcCall(address, ADS_PATH, {
      onMessage: (message) => this.#receive(message),
      onEnd: (status) => {
        if (this.#call !== call) return;
        this.#call = undefined;
        this.handlers.onEnd(this, status);
      },
    });
    this.#call = call;
    this.#subscribe(CLUSTER, []);
    // A proxy that was there before goes on with all subscriptions at once.
    for (const [type, { names }] of this.#types) if (type !== CLUSTER) this.#subscribe(type, [...names]);
  }

  /** Drops the connection; what was received is kept. */
  disconnect(): void {
    const call = this.#call;
    this.#call = undefined;
    call?.destroy();
  }

  /** How many resources of a type it holds. */
  count(type: string): number {
    return this.#types.get(type)?.held.size ?? 0;
  }

  version(type: string, name: string): string | undefined {
    return this.#types.get(type)?.held.get(name);
  }

  resetCounts(): void {
    this.bytes = 0;
    this.responses = 0;
  }

  #receive(message: Buffer): void {
    this.bytes += message.length;
    this.responses++;
    const response = scanResponse(message);
    const { typeUrl, nonce, body, resources, removed } = response;
    const rejection = this.rejections.get(typeUrl);
    if (rejection !== undefined) {
      this.rejections.delete(typeUrl);
      this.#send({ typeUrl, nonce, error: rejection });
    } else {
      const { held } = this.#known(typeUrl);
      for (const { name, version } of resources) held.set(name, version);
      for (const name of removed) held.delete(name);
      this.#follow(typeUrl, resources, body);
      this.#acknowledge(typeUrl, nonce);
    }
    this.handlers.onResponse(this, response, message.length);
  }

  /** Asks for what the resources refer to. */
  #follow(typeUrl: string, resources: readonly ScannedResource[], body: Buffer): void {
    if (typeUrl === CLUSTER) {
      const services = servicesOf(resources);
      for (const name of services) this.#warming.add(name);
      this.#subscribe(ENDPOINTS, services);
    }
    if (typeUrl === ENDPOINTS) for (const { name } of resources) this.#warming.delete(name);
    if (typeUrl === LISTENER) {
      const listeners = resources.map((resource) => unpackListener(body, resource));
      this.#subscribe(
        ROUTES,
        listeners.flatMap(({ routes }) => routes),
      );
      this.#subscribe(
        EXTENSION_CONFIG,
        listeners.flatMap(({ filters }) => filters),
      );
    }
    if (typeUrl === ROUTES && resources.some((resource) => hasVhds(body, resource))) {
      this.#subscribe(VIRTUAL_HOST, []);
    }
  }

  /** Envoy acknowledges clusters when they are warm, and asks for listeners after that. */
  #acknowledge(typeUrl: string, nonce: string): void {
    if (typeUrl === CLUSTER) this.#unanswered.push(nonce);
    else this.#send({ typeUrl, nonce });
    if (this.#warming.size > 0) return;
    for (const waiting of this.#unanswered) this.#send({ typeUrl: CLUSTER, nonce: waiting });
    this.#unanswered = [];
    if (!this.#asked.has(LISTENER)) this.#subscribe(LISTENER, []);
  }

  /** Without names it asks for everything, once. Envoy names what it subscribes to in order. */
  #subscribe(typeUrl: string, names: readonly string[]): void {
    const { names: known, held } = this.#known(typeUrl);
    const isFirst = !this.#asked.has(typeUrl);
    const fresh =
      isFirst && known.size > 0
        ? [...new Set([...known, ...names])].sort()
        : inOrder(names).filter((name) => !known.has(name));
    for (const name of fresh) known.add(name);
    const isWildcard = typeUrl === CLUSTER || typeUrl === LISTENER || typeUrl === VIRTUAL_HOST;
    if (isFirst ? !isWildcard && fresh.length === 0 : fresh.length === 0) return;
    const node = this.#asked.size === 0 ? { node: this.#node } : {};
    this.#asked.add(typeUrl);
    const versions = isFirst ? { versions: inNoOrder(held) } : {};
    this.#send({ typeUrl, subscribe: fresh, ...node, ...versions });
  }

  #send(request: DeltaRequest): void {
    this.#call?.send(() => encodeRequest(request));
  }

  #known(typeUrl: string): Known {
    let known = this.#types.get(typeUrl);
    if (known === undefined) {
      known = { names: new Set(), held: new Map() };
      this.#types.set(typeUrl, known);
    }
    return known;
  }
}

const services = new WeakMap<readonly ScannedResource[], readonly string[]>();

/** The names of the clusters of services; the same list for what many proxies are sent alike. */
function servicesOf(resources: readonly ScannedResource[]): readonly string[] {
  const known =
    services.get(resources) ?? resources.map(({ name }) => name).filter((name) => name.startsWith(SERVICE_CLUSTER));
  services.set(resources, known);
  return known;
}

const sorted = new WeakMap<readonly string[], readonly string[]>();

/** Worked out once a list. */
function inOrder(names: readonly string[]): readonly string[] {
  const known = sorted.get(names) ?? [...names].sort();
  sorted.set(names, known);
  return known;
}

/** Envoy names what it holds in no order; only once it comes to that is there one. */
function* inNoOrder(held: ReadonlyMap<string, string>): Generator<readonly [name: string, version: string]> {
  const names = [...held.keys()];
  for (let left = names.length; left > 0; left--) {
    const chosen = Math.floor(Math.random() * left);
    const name = names[chosen] as string;
    names[chosen] = names[left - 1] as string;
    yield [name, held.get(name) as string];
  }
}

/** The names that a listener's HTTP filter chains refer to. */
function unpackListener(body: Buffer, { start, end }: ScannedResource): { routes: string[]; filters: string[] } {
  const listener = anyUnpack(fromBinary(AnySchema, body.subarray(start, end)), ListenerSchema);
  const chains = [
    ...(listener?.filterChains ?? []),
    ...(listener?.defaultFilterChain ? [listener.defaultFilterChain] : []),
  ];
  const connections = chains
    .flatMap((chain) => chain.filters)
    .flatMap(({ configType }) =>
      configType.case === "typedConfig" ? (anyUnpack(configType.value, HttpConnectionManagerSchema) ?? []) : [],
    );
  return {
    routes: connections.flatMap(({ routeSpecifier: routes }) =>
      routes.case === "rds" ? [routes.value.routeConfigName] : [],
    ),
    filters: connections.flatMap(({ httpFilters }) =>
      httpFilters.flatMap(({ name, configType }) => (configType.case === "configDiscovery" ? [name] : [])),
    ),
  };
}

function hasVhds(body: Buffer, { start, end }: ScannedResource): boolean {
  const any = fromBinary(AnySchema, body.subarray(start, end));
  return anyUnpack(any, RouteConfigurationSchema)?.vhds !== undefined;
}
