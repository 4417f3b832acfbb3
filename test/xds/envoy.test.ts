// The ADS server against a real Envoy: it configures it from nothing and repoints its traffic without a failed request.
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { ClusterSchema } from "../../controlplane/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../controlplane/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../controlplane/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "../../controlplane/gen/envoy/config/route/v3/route_pb.js";
import { RouterSchema } from "../../controlplane/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "../../controlplane/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { SnapshotCache } from "../../controlplane/xds/cache.js";
import type { AdsEvent } from "../../controlplane/xds/events.js";
import { CLUSTER, ENDPOINTS, LISTENER, ROUTES } from "../../controlplane/xds/order.js";
import { type AdsOptions, createAdsServer } from "../../controlplane/xds/server.js";
import type { Snapshot, TypeUrl, XdsResource } from "../../controlplane/xds/snapshot.js";
import { freePort } from "../harness/addresses.js";
import { type Backend, startBackend } from "../harness/backend.js";
import { startTestEnvoy } from "../harness/envoy.js";
import { sendMany, startLoad } from "../harness/load.js";
import { createScope, type Scope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const REMOVAL_DELAY_MILLIS = 50;
const ads = { configSourceSpecifier: { case: "ads", value: {} } } as const;

describe.each(["delta", "sotw"] as const)("%s", (variant) => {
  test("50 repoints, each to a cluster that did not exist before, fail no request, and the old ones are removed", async () => {
    await inScope(async (scope) => {
      const at = await meshOfOne(scope, variant);
      at.cache.set("envoy", configuration(at.port, "c0", at.backends[0]));
      const envoy = await startTestEnvoy(scope, bootstrap(variant, at.address));
      const load = startLoad({ url: `http://127.0.0.1:${at.port}/`, concurrency: 4, name: backendOf });
      for (let repoint = 1; repoint <= 50; repoint++) {
        const backend = at.backends[repoint % 2] as Backend;
        const delivered = at.nextDelivery();
        at.cache.set("envoy", configuration(at.port, `c${repoint}`, backend));
        await delivered;
        expect(await once(at.port)).toEqual({ [backend.name]: 1 });
      }
      await eventually("only the last cluster and that of the control plane are left", async () => {
        return (await envoy.stat("cluster_manager.active_clusters")) === 2;
      });
      const { requests, broken, outcomes } = await load.stop();
      expect(broken).toEqual([]);
      expect(Object.keys(outcomes).sort()).toEqual(["blue", "green"]);
      expect(requests).toBeGreaterThan(50);
      expect(at.events.filter(({ type }) => type === "nack" || type === "fault")).toEqual([]);
    });
  });

  test("a cluster that is changed under traffic warms on endpoints that did not change", async () => {
    await inScope(async (scope) => {
      const at = await meshOfOne(scope, variant);
      at.cache.set("envoy", configuration(at.port, "c", at.backends[0]));
      const envoy = await startTestEnvoy(scope, bootstrap(variant, at.address));
      const load = startLoad({ url: `http://127.0.0.1:${at.port}/`, concurrency: 2 });
      const delivered = at.nextDelivery();
      at.cache.set("envoy", configuration(at.port, "c", at.backends[0], 7n));
      await delivered;
      await eventually("the changed cluster is active", async () => {
        const dump = JSON.stringify(await envoy.configDump());
        return dump.includes('"connect_timeout":"7s"') && (await envoy.stat("cluster_manager.warming_clusters")) === 0;
      });
      expect(Object.keys((await load.stop()).outcomes)).toEqual(["200"]);
    });
  });

  test("what Envoy rejects is told with its reason, and what it had goes on", async () => {
    await inScope(async (scope) => {
      const at = await meshOfOne(scope, variant);
      const good = configuration(at.port, "c", at.backends[0]);
      at.cache.set("envoy", good);
      await startTestEnvoy(scope, bootstrap(variant, at.address));
      const bad = pack(ROUTES, "routes", RouteConfigurationSchema, {
        name: "routes",
        virtualHosts: [{ name: "no domains", domains: [] }],
      });
      const nacked = at.next((event) => event.type === "nack");
      at.cache.set("envoy", { resources: new Map([...good.resources, [ROUTES, new Map([["routes", bad]])]]) });
      expect(await nacked).toMatchObject({ typeUrl: ROUTES, names: ["routes"] });
      expect(await once(at.port)).toEqual({ blue: 1 });
      const [status] = at.server().status("envoy");
      expect(status?.types.find(({ typeUrl }) => typeUrl === ROUTES)).toMatchObject({ state: "rejected" });
    });
  });

  test("a new server in the old one's place repoints without a failed request", async () => {
    await inScope(async (scope) => {
      const at = await meshOfOne(scope, variant);
      at.cache.set("envoy", configuration(at.port, "c", at.backends[0]));
      await startTestEnvoy(scope, bootstrap(variant, at.address));
      const load = startLoad({ url: `http://127.0.0.1:${at.port}/`, concurrency: 2, name: backendOf });
      await at.server().close();
      at.events.length = 0;
      at.cache.set("envoy", configuration(at.port, "c", at.backends[0], 5n, "c-too"));
      const delivered = at.next((event) => event.type === "delivered");
      await at.restart();
      await delivered;
      const pushed = at.events.flatMap((event) => (event.type === "push" ? [[event.typeUrl, event.resources]] : []));
      if (variant === "delta") {
        expect(pushed.filter(([, resources]) => resources !== 0)).toEqual([
          [CLUSTER, 1],
          [ENDPOINTS, 1],
        ]);
      }
      const { broken, outcomes } = await load.stop();
      expect({ broken, outcomes: Object.keys(outcomes) }).toEqual({ broken: [], outcomes: ["blue"] });
    });
  });
});

async function meshOfOne(scope: Scope, variant: "delta" | "sotw") {
  const backends = [await startBackend(scope, "blue"), await startBackend(scope, "green")] as const;
  const cache = new SnapshotCache();
  const events: AdsEvent[] = [];
  const waiting: { matches: (event: AdsEvent) => boolean; resolve: (event: AdsEvent) => void }[] = [];
  const options: AdsOptions = {
    cache,
    removalDelayMillis: REMOVAL_DELAY_MILLIS,
    onConnect: ({ id }) => ({ key: id }),
    onEvent(event) {
      events.push(event);
      for (const each of [...waiting]) {
        if (!each.matches(event)) continue;
        waiting.splice(waiting.indexOf(each), 1);
        each.resolve(event);
      }
    },
  };
  let server = createAdsServer(options);
  const address = await server.listen("127.0.0.1:0");
  scope.use({ close: () => server.close() });
  const next = (matches: (event: AdsEvent) => boolean) =>
    new Promise<AdsEvent>((resolve) => waiting.push({ matches, resolve }));
  return {
    backends,
    cache,
    events,
    address,
    variant,
    port: await freePort(),
    server: () => server,
    next,
    nextDelivery: () => next(({ type }) => type === "delivered"),
    async restart() {
      server = createAdsServer(options);
      await server.listen(address);
    },
  };
}

function bootstrap(variant: "delta" | "sotw", address: string): object {
  const [host, port] = address.split(":");
  const source = { ads: {}, resource_api_version: "V3" };
  const http2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      explicit_http_config: { http2_protocol_options: {} },
    },
  };
  const endpoint = { address: { socket_address: { address: host, port_value: Number(port) } } };
  return {
    node: { id: "envoy", cluster: "test" },
    dynamic_resources: {
      ads_config: {
        api_type: variant === "delta" ? "DELTA_GRPC" : "GRPC",
        transport_api_version: "V3",
        grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
      },
      cds_config: source,
      lds_config: source,
    },
    static_resources: {
      clusters: [
        {
          name: "xds",
          typed_extension_protocol_options: http2,
          load_assignment: { cluster_name: "xds", endpoints: [{ lb_endpoints: [{ endpoint }] }] },
        },
      ],
    },
  };
}

/** A listener on the port whose one route leads to a cluster of that name with that backend, and unused ones beside. */
function configuration(port: number, name: string, backend: Backend, seconds = 5n, ...unused: string[]): Snapshot {
  const clusters = [name, ...unused].map((each) =>
    pack(CLUSTER, each, ClusterSchema, {
      name: each,
      connectTimeout: { seconds },
      clusterDiscoveryType: { case: "type", value: 3 },
      edsClusterConfig: { edsConfig: ads },
    }),
  );
  const endpoints = [name, ...unused].map((each) =>
    pack(ENDPOINTS, each, ClusterLoadAssignmentSchema, {
      clusterName: each,
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { address: socket(backend) } } }] }],
    }),
  );
  const routes = pack(ROUTES, "routes", RouteConfigurationSchema, {
    name: "routes",
    virtualHosts: [
      {
        name: "all",
        domains: ["*"],
        routes: [
          {
            match: { pathSpecifier: { case: "prefix", value: "/" } },
            action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: name } } },
          },
        ],
      },
    ],
  });
  const connectionManager = create(HttpConnectionManagerSchema, {
    statPrefix: "front",
    routeSpecifier: { case: "rds", value: { routeConfigName: "routes", configSource: ads } },
    httpFilters: [
      { name: "router", configType: { case: "typedConfig", value: anyPack(RouterSchema, create(RouterSchema)) } },
    ],
  });
  const listener = pack(LISTENER, "front", ListenerSchema, {
    name: "front",
    address: socket({ host: "127.0.0.1", port }),
    filterChains: [
      {
        filters: [
          {
            name: "http",
            configType: { case: "typedConfig", value: anyPack(HttpConnectionManagerSchema, connectionManager) },
          },
        ],
      },
    ],
  });
  return {
    resources: new Map([
      [CLUSTER, new Map(clusters.map((each) => [each.name, each]))],
      [ENDPOINTS, new Map(endpoints.map((each) => [each.name, each]))],
      [LISTENER, new Map([["front", listener]])],
      [ROUTES, new Map([["routes", routes]])],
    ]),
  };
}

function socket({ host, port }: { readonly host: string; readonly port: number }) {
  const portSpecifier = { case: "portValue", value: port } as const;
  return { address: { case: "socketAddress", value: { address: host, portSpecifier } } } as const;
}

function pack<Desc extends DescMessage>(
  typeUrl: TypeUrl,
  name: string,
  schema: Desc,
  init: MessageInitShape<Desc>,
): XdsResource {
  const value = toBinary(schema, create(schema, init));
  const version = Buffer.from(value).toString("base64");
  return { name, version, any: toBinary(AnySchema, create(AnySchema, { typeUrl, value })) };
}

const backendOf = ({ status, body }: { readonly status: number; readonly body: string }) =>
  status === 200 ? (JSON.parse(body) as { backend: string }).backend : `${status} ${body}`;

async function once(port: number): Promise<Record<string, number>> {
  const { outcomes } = await sendMany(1, { url: `http://127.0.0.1:${port}/`, concurrency: 1, name: backendOf });
  return outcomes;
}

async function inScope(work: (scope: Scope) => Promise<void>): Promise<void> {
  const scope = createScope();
  try {
    await work(scope);
  } finally {
    await scope.close();
  }
}
