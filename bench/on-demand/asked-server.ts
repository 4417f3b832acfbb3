// An ADS server for the experiment: of virtual hosts, clusters and endpoints it gives a proxy what it asks for by name.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Server, ServerCredentials, type ServerDuplexStream, type ServiceDefinition } from "@grpc/grpc-js";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  type Resource,
  ResourceSchema,
} from "../../controlplane/gen/envoy/service/discovery/v3/discovery_pb.js";
import type { EnvoyResource } from "../../controlplane/translate/resource.js";
import { CLUSTER, LISTENER, ROUTES, VIRTUAL_HOST } from "../../controlplane/xds/order.js";
import { askingListener, domainsOf, placeholderHost, withoutCatchAll } from "./demanded.js";
import type { Resources } from "./resources.js";

export interface AskedServer {
  readonly port: number;
  /** Drops all connections. */
  close(): Promise<void>;
}

export interface AskedServerOptions {
  readonly resources: Resources;
  /** A free one from the kernel by default. */
  readonly port?: number;
}

type Call = ServerDuplexStream<Buffer, Uint8Array>;

/** Clusters of services are given when they are asked for; the others, which many routes lead to, at once. */
const ON_DEMAND_CLUSTER = "outbound|";

/** Serves one proxy over plaintext on loopback. Its stream ends with an error when it rejects anything. */
export async function startAskedServer({ resources, port = 0 }: AskedServerOptions): Promise<AskedServer> {
  const answers = createAnswers(resources);
  const server = new Server({ "grpc.max_receive_message_length": -1 });
  server.addService(SERVICE, {
    deltaAggregatedResources: (call: Call) => {
      const known = new Set<string>();
      let nonce = 0;
      call.on("error", () => {});
      call.on("end", () => call.end());
      call.on("data", (bytes: Buffer) => {
        const request = fromBinary(DeltaDiscoveryRequestSchema, bytes);
        if (request.errorDetail) {
          call.destroy(new Error(`rejected: ${request.errorDetail.message}`));
          return;
        }
        const isFirst = !known.has(request.typeUrl);
        known.add(request.typeUrl);
        const sent = answers(request, isFirst && request.resourceNamesSubscribe.length === 0);
        if (sent.resources.length + sent.removed.length === 0 && !isFirst) return;
        call.write(encode(request.typeUrl, String(++nonce), sent));
      });
    },
  });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, number) =>
      error ? reject(error) : resolve(number),
    );
  });
  return { port: bound, close: async () => server.forceShutdown() };
}

interface Sent {
  readonly resources: readonly Resource[];
  readonly removed: readonly string[];
}

function createAnswers(resources: Resources) {
  const ofType = (typeUrl: string) => resources.get(typeUrl) ?? new Map<string, EnvoyResource>();
  const hosts = new Map<string, EnvoyResource>();
  for (const host of ofType(VIRTUAL_HOST).values()) {
    const [routeName = ""] = host.name.split("/");
    for (const domain of domainsOf(host)) hosts.set(`${routeName}/${domain}`, host);
  }
  const everything = (typeUrl: string): EnvoyResource[] => {
    if (typeUrl === VIRTUAL_HOST) return [...ofType(ROUTES).keys()].map(placeholderHost);
    if (typeUrl === CLUSTER)
      return [...ofType(CLUSTER).values()].filter((one) => !one.name.startsWith(ON_DEMAND_CLUSTER));
    return typeUrl === LISTENER ? [...ofType(LISTENER).values()].map(askingListener) : [];
  };
  const named = (typeUrl: string, name: string) => {
    const resource = ofType(typeUrl).get(name);
    if (typeUrl === VIRTUAL_HOST) return resource ?? hosts.get(name.replace(/:\d+$/, ""));
    return resource && typeUrl === ROUTES ? withoutCatchAll(resource) : resource;
  };
  return (
    { typeUrl, resourceNamesSubscribe, initialResourceVersions }: DeltaDiscoveryRequest,
    isWildcard: boolean,
  ): Sent => {
    const removed: string[] = [];
    const held = (one: EnvoyResource) => initialResourceVersions[one.name] === one.version;
    const sent = isWildcard || resourceNamesSubscribe.includes("*") ? everything(typeUrl).map((one) => wrap(one)) : [];
    for (const name of resourceNamesSubscribe) {
      if (name === "*") continue;
      const found = named(typeUrl, name);
      if (found && held(found)) continue;
      if (found) sent.push(wrap(found, typeUrl === VIRTUAL_HOST ? [name] : []));
      // Envoy holds requests until it is told of the name that it asked for, be it that there is nothing behind it.
      else if (typeUrl === VIRTUAL_HOST) sent.push(create(ResourceSchema, { name, aliases: [name] }));
      else removed.push(name);
    }
    return { resources: sent, removed };
  };
}

function wrap({ name, version, any }: EnvoyResource, aliases: string[] = []): Resource {
  return create(ResourceSchema, { name, version, aliases, resource: fromBinary(AnySchema, any) });
}

function encode(typeUrl: string, nonce: string, { resources, removed }: Sent): Uint8Array {
  const response = create(DeltaDiscoveryResponseSchema, {
    typeUrl,
    nonce,
    systemVersionInfo: "1",
    resources: [...resources],
    removedResources: [...removed],
  });
  return toBinary(DeltaDiscoveryResponseSchema, response);
}

const asIs = {
  serialize: (bytes: Uint8Array) => Buffer.from(bytes),
  deserialize: (bytes: Buffer) => bytes,
};

const SERVICE: ServiceDefinition = {
  deltaAggregatedResources: {
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    requestStream: true,
    responseStream: true,
    requestSerialize: asIs.serialize,
    requestDeserialize: asIs.deserialize,
    responseSerialize: asIs.serialize,
    responseDeserialize: asIs.deserialize,
  },
};
