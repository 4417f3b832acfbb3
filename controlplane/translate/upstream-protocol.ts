// Which HTTP a cluster speaks to its endpoints, and how it keeps those connections.
import { create, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Cluster } from "../gen/envoy/config/cluster/v3/cluster_pb.js";
import {
  HttpProtocolOptionsSchema as CommonOptionsSchema,
  UpstreamHttpProtocolOptionsSchema,
} from "../gen/envoy/config/core/v3/protocol_pb.js";
import type { HttpFilter } from "../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import {
  type HttpProtocolOptions,
  HttpProtocolOptions_ExplicitHttpConfigSchema,
  HttpProtocolOptions_UseDownstreamHttpConfigSchema,
  HttpProtocolOptionsSchema,
} from "../gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { isHttp, type Protocol } from "../mesh/service.js";
import type { ClientTlsSettings, ConnectionPoolSettings } from "../resources/destination-rule.js";
import { pack } from "./resource.js";
import { duration } from "./values.js";

const OPTIONS_NAME = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/**
 * Sets the protocol options and gives the protocols to offer in a TLS hello. http2 and grpc ports speak HTTP/2, http
 * ports HTTP/1.1 unless the policy upgrades them or asks to speak what the client spoke; others are passed on unread.
 * Where it is what the client spoke, Envoy offers that by itself.
 */
export function applyProtocol(
  cluster: Cluster,
  protocol: Protocol,
  pool: ConnectionPoolSettings | undefined,
): readonly string[] {
  const { http, tcp } = pool ?? {};
  if (!isHttp(protocol)) return [];
  const http2 = protocol === "http2" || protocol === "grpc" || http?.h2UpgradePolicy === "UPGRADE";
  const options = create(HttpProtocolOptionsSchema, {
    commonHttpProtocolOptions: create(CommonOptionsSchema, {
      ...(http?.idleTimeoutMs === undefined ? {} : { idleTimeout: duration(http.idleTimeoutMs) }),
      ...(tcp?.maxConnectionDurationMs === undefined
        ? {}
        : { maxConnectionDuration: duration(tcp.maxConnectionDurationMs) }),
      ...(http?.maxRequestsPerConnection ? { maxRequestsPerConnection: http.maxRequestsPerConnection } : {}),
    }),
  });
  const streams = http?.maxConcurrentStreams ? { maxConcurrentStreams: http.maxConcurrentStreams } : {};
  setVersion(options, http2, http?.useClientProtocol ?? false, streams);
  cluster.typedExtensionProtocolOptions = { [OPTIONS_NAME]: pack(HttpProtocolOptionsSchema, options) };
  if (http?.useClientProtocol) return [];
  return http2 ? ["h2"] : ["http/1.1"];
}

function setVersion(
  options: HttpProtocolOptions,
  http2: boolean,
  asClient: boolean,
  streams: { maxConcurrentStreams?: number },
): void {
  if (asClient) {
    options.upstreamProtocolOptions = {
      case: "useDownstreamProtocolConfig",
      value: create(HttpProtocolOptions_UseDownstreamHttpConfigSchema, {
        httpProtocolOptions: {},
        http2ProtocolOptions: streams,
      }),
    };
    return;
  }
  options.upstreamProtocolOptions = {
    case: "explicitHttpConfig",
    value: create(HttpProtocolOptions_ExplicitHttpConfigSchema, {
      protocolConfig: http2
        ? { case: "http2ProtocolOptions", value: streams }
        : { case: "httpProtocolOptions", value: {} },
    }),
  };
}

const DEFAULT_OPTIONS = defaultOptions();

function defaultOptions(): Uint8Array {
  const options = create(HttpProtocolOptionsSchema, { commonHttpProtocolOptions: {} });
  setVersion(options, false, false, {});
  return toBinary(HttpProtocolOptionsSchema, options);
}

/**
 * Asks TLS servers for the name in each request's host, and takes no other from them unless the rule names some or has
 * nothing verified. Of clusters that do not speak HTTP, nothing changes.
 */
export function nameServerByHost(cluster: Cluster, tls: ClientTlsSettings | undefined): void {
  const verifies = tls?.insecureSkipVerify !== true && tls?.subjectAltNames.length === 0;
  changeOptions(cluster, (options) => {
    options.upstreamHttpProtocolOptions = create(UpstreamHttpProtocolOptionsSchema, {
      autoSni: true,
      autoSanValidation: verifies,
    });
  });
}

/** The filters that every try passes, the codec's last. Of clusters that do not speak HTTP, nothing changes. */
export function setUpstreamFilters(cluster: Cluster, filters: readonly HttpFilter[]): void {
  changeOptions(cluster, (options) => {
    options.httpFilters = [...filters];
  });
}

/** What Envoy does by itself need not be sent, a hundred bytes for each of thousands of clusters: HTTP/1.1, with no limits. */
export function leaveOutDefaultProtocol(cluster: Cluster): void {
  const packed = cluster.typedExtensionProtocolOptions[OPTIONS_NAME];
  if (packed && Buffer.compare(packed.value, DEFAULT_OPTIONS) === 0) {
    delete cluster.typedExtensionProtocolOptions[OPTIONS_NAME];
  }
}

function changeOptions(cluster: Cluster, change: (options: HttpProtocolOptions) => void): void {
  const packed = cluster.typedExtensionProtocolOptions[OPTIONS_NAME];
  const options = packed && anyUnpack(packed, HttpProtocolOptionsSchema);
  if (!options) return;
  change(options);
  cluster.typedExtensionProtocolOptions[OPTIONS_NAME] = pack(HttpProtocolOptionsSchema, options);
}
