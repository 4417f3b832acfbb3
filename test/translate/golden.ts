// A golden case: policies and a proxy in, the proxy's Envoy resources out, as YAML that a person can read.
import { readFileSync } from "node:fs";
import { createRegistry, fromBinary, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Any, AnySchema, anyUnpack, BytesValueSchema } from "@bufbuild/protobuf/wkt";
import { parseAllDocuments, stringify } from "yaml";
import { ClusterSchema } from "../../controlplane/gen/envoy/config/cluster/v3/cluster_pb.js";
import { TypedExtensionConfigSchema } from "../../controlplane/gen/envoy/config/core/v3/extension_pb.js";
import { ClusterLoadAssignmentSchema } from "../../controlplane/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../controlplane/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteSchema, VirtualHostSchema } from "../../controlplane/gen/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../../controlplane/gen/envoy/config/route/v3/route_pb.js";
import { ExpressionFilterSchema } from "../../controlplane/gen/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js";
import { ConfigSchema as CountersSchema } from "../../controlplane/gen/envoy/extensions/access_loggers/stats/v3/stats_pb.js";
import { CorsPolicySchema, CorsSchema } from "../../controlplane/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HTTPFaultSchema } from "../../controlplane/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { HeaderMutationSchema } from "../../controlplane/gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import { LuaSchema } from "../../controlplane/gen/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import { RouterSchema } from "../../controlplane/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import { UpstreamCodecSchema } from "../../controlplane/gen/envoy/extensions/filters/http/upstream_codec/v3/upstream_codec_pb.js";
import { WasmSchema } from "../../controlplane/gen/envoy/extensions/filters/http/wasm/v3/wasm_pb.js";
import { OriginalDstSchema } from "../../controlplane/gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js";
import { TlsInspectorSchema } from "../../controlplane/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { HttpConnectionManagerSchema } from "../../controlplane/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { TcpProxySchema } from "../../controlplane/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { FilterStateInputSchema } from "../../controlplane/gen/envoy/extensions/matching/common_inputs/network/v3/network_inputs_pb.js";
import { PreviousHostsPredicateSchema } from "../../controlplane/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js";
import { PreviousPrioritiesConfigSchema } from "../../controlplane/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js";
import { SecretSchema } from "../../controlplane/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../controlplane/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { HttpProtocolOptionsSchema } from "../../controlplane/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { buildMesh, type Mesh } from "../../controlplane/mesh/mesh.js";
import { type Proxy, parseNode } from "../../controlplane/proxy/proxy.js";
import { decodeObject } from "../../controlplane/resources/decode.js";
import { parseYaml } from "../../controlplane/sources/yaml.js";
import type { EnvoyResource } from "../../controlplane/translate/resource.js";
import { translate } from "../../controlplane/translate/translate.js";
import { ROUTE_NAME_PREFIX } from "../../filters/policy/tags.js";

const registry = createRegistry(
  BytesValueSchema,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  CorsPolicySchema,
  CorsSchema,
  CountersSchema,
  DownstreamTlsContextSchema,
  ExpressionFilterSchema,
  FilterStateInputSchema,
  HeaderMutationSchema,
  HTTPFaultSchema,
  HttpConnectionManagerSchema,
  HttpProtocolOptionsSchema,
  ListenerSchema,
  LuaSchema,
  OriginalDstSchema,
  PreviousHostsPredicateSchema,
  PreviousPrioritiesConfigSchema,
  RouteConfigurationSchema,
  RouterSchema,
  RouteSchema,
  SecretSchema,
  TcpProxySchema,
  TlsInspectorSchema,
  TypedExtensionConfigSchema,
  UpstreamCodecSchema,
  UpstreamTlsContextSchema,
  VirtualHostSchema,
  WasmSchema,
);

export interface GoldenCase {
  readonly mesh: Mesh;
  readonly proxy: Proxy;
  /** As the case gives it. */
  readonly node: { readonly id: string; readonly metadata?: object; readonly locality?: object };
  /** The codes of the violations, in order. */
  readonly violations: readonly string[];
}

/** The first document is the proxy's node, {id, metadata}; the others are policies, of namespace "default". */
export function readGoldenCase(path: string): GoldenCase {
  const text = readFileSync(path, "utf8");
  const [head] = parseAllDocuments(text);
  if (!head || "empty" in head) throw new Error(`${path} is empty`);
  const node = head.toJS() as GoldenCase["node"];
  const parsed = parseNode(node as Parameters<typeof parseNode>[0], "delta");
  if ("error" in parsed) throw new Error(`${path}: ${parsed.error}`);
  const { objects, violations } = parseYaml(text.slice(text.indexOf("\n---\n") + 5), path);
  const decoded = objects.map((object) => decodeObject(object, "default"));
  const mesh = buildMesh(
    decoded.flatMap(({ resource }) => resource ?? []),
    { rootNamespace: "istio-system" },
  );
  const all = [...violations, ...decoded.flatMap((one) => one.violations), ...mesh.violations];
  return { mesh, proxy: parsed.proxy, node, violations: all.map(({ code, path: at }) => `${code} ${at}`) };
}

/** Stands for the module, which would fill the page. */
const NO_MODULE = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

/** What the proxy gets, by type and name; compiled policies are left out. */
export function golden({ mesh, proxy, violations }: GoldenCase): string {
  const resources = translate(mesh, proxy, { trafficFilter: { wasm: NO_MODULE }, tryFilter: NO_MODULE });
  const shown = resources.map((resource) => readable(resource)).sort(byTypeAndName);
  return stringify({ violations, resources: shown }, { lineWidth: 140, aliasDuplicateObjects: false });
}

function byTypeAndName(a: { type: string; name: string }, b: { type: string; name: string }): number {
  return `${a.type} ${a.name}` < `${b.type} ${b.name}` ? -1 : 1;
}

function readable(resource: EnvoyResource): { type: string; name: string; resource: JsonValue } {
  const any: Any = fromBinary(AnySchema, resource.any);
  const message = anyUnpack(any, registry);
  const schema = message && registry.getMessage(message.$typeName);
  if (!message || !schema) throw new Error(`${resource.typeUrl} is not in the golden registry: add it there`);
  const type = resource.typeUrl.slice(resource.typeUrl.lastIndexOf(".") + 1);
  return { type, name: resource.name, resource: withoutImages(toJson(schema, message, { registry })) };
}

function withoutImages(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(withoutImages);
  if (typeof value === "string" && value.startsWith(ROUTE_NAME_PREFIX)) return `${ROUTE_NAME_PREFIX}(hash)`;
  if (typeof value !== "object" || value === null) return value;
  const image = value["headgate.image"];
  if (image) return { "headgate.image": "(the compiled policy)" };
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutImages(inner)]));
}
