// Virtual hosts, encoded one by one, and the route configurations that they make up.

import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type VirtualHost, VirtualHostSchema } from "../gen/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema, VhdsSchema } from "../gen/envoy/config/route/v3/route_pb.js";
import { type EnvoyResource, encodeBytes } from "./resource.js";
import { adsSource } from "./values.js";

/** A virtual host of one route configuration. */
export interface EncodedHost {
  readonly message: Uint8Array;
  /** As a resource of its own, named "<route configuration>/<host>", as VHDS asks for. */
  readonly resource: EnvoyResource;
}

/** Names the host for its route configuration: Envoy finds a removed one by that name. */
export function encodeHost(routeName: string, host: VirtualHost): EncodedHost {
  const name = `${routeName}/${host.name}`;
  host.name = name;
  const message = toBinary(VirtualHostSchema, host);
  return { message, resource: encodeBytes(VirtualHostSchema, name, message) };
}

/** The same of a host whose encoding but for its name and domains is known. */
export function encodeHostAround(
  routeName: string,
  hostName: string,
  domains: readonly string[],
  body: Uint8Array,
): EncodedHost {
  const name = `${routeName}/${hostName}`;
  const writer = new BinaryWriter().tag(VIRTUAL_HOST.name, WireType.LengthDelimited).string(name);
  for (const domain of domains) writer.tag(VIRTUAL_HOST.domains, WireType.LengthDelimited).string(domain);
  const message = writer.raw(body).finish();
  return { message, resource: encodeBytes(VirtualHostSchema, name, message) };
}

const VIRTUAL_HOST = { name: 1, domains: 2 } as const;

/** directResponse bodies of up to 1 MiB, as Istio allows. */
const MAX_DIRECT_RESPONSE_BYTES = 1_048_576;

/**
 * A route configuration with these hosts, and `fixed` ones that always travel inside it. Separately, each host is a
 * resource of its own, so that a change of one is a small push; without hosts there is nothing to ask for separately,
 * and Envoy would wait for it.
 */
export function routeConfiguration(
  name: string,
  hosts: readonly EncodedHost[],
  fixed: readonly VirtualHost[],
  separately: boolean,
): EnvoyResource[] {
  const shell = create(RouteConfigurationSchema, {
    name,
    virtualHosts: [...fixed],
    maxDirectResponseBodySizeBytes: MAX_DIRECT_RESPONSE_BYTES,
    ignorePortInHostMatching: true,
  });
  if (separately && hosts.length > 0) {
    shell.vhds = create(VhdsSchema, { configSource: adsSource() });
    const resource = encodeBytes(RouteConfigurationSchema, name, toBinary(RouteConfigurationSchema, shell));
    return [resource, ...hosts.map((host) => host.resource)];
  }
  const message = withHosts(toBinary(RouteConfigurationSchema, shell), hosts);
  return [encodeBytes(RouteConfigurationSchema, name, message)];
}

const VIRTUAL_HOSTS_FIELD = 2;

/** Repeated fields may stand anywhere in an encoded message, so encoded hosts are appended as they are. */
function withHosts(shell: Uint8Array, hosts: readonly EncodedHost[]): Uint8Array {
  const writer = new BinaryWriter().raw(shell);
  for (const { message } of hosts) writer.tag(VIRTUAL_HOSTS_FIELD, WireType.LengthDelimited).bytes(message);
  return writer.finish();
}
