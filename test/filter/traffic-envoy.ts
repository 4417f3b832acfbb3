// A real Envoy with the filter and policies in its routes, as the control plane lays them out.
import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type CompiledPolicy,
  compilePolicy,
  FILTER_NAME,
  IMAGE_METADATA_KEY,
  ROUTE_FILTER_STATE,
  undecidedRouteName,
} from "../../controlplane/policy/compile.js";
import type { PolicyRule } from "../../controlplane/policy/rule.js";
import type { HttpMatch, StringMatch } from "../../controlplane/resources/virtual-service.js";
import { freePort, loopbackAddress } from "../harness/addresses.js";
import { startTestEnvoy, type TestEnvoy } from "../harness/envoy.js";
import type { Scope } from "../harness/scope.js";

export const MODULE = join(process.cwd(), "build", "traffic.wasm");
export const TRY_MODULE = join(process.cwd(), "build", "try.wasm");
const TYPE = "type.googleapis.com/";

export interface TrafficEnvoy extends TestEnvoy {
  /** http://address:port of the listener. */
  readonly url: string;
}

/** Conditions with everything left out that is not given. */
export function match(conditions: Partial<HttpMatch> = {}): HttpMatch {
  return {
    ignoreUriCase: false,
    headers: new Map(),
    withoutHeaders: new Map(),
    queryParams: new Map(),
    sourceLabels: {},
    gateways: [],
    ...conditions,
  };
}

export const exact = (value: string): StringMatch => ({ type: "exact", value });
export const prefix = (value: string): StringMatch => ({ type: "prefix", value });
export const regex = (value: string): StringMatch => ({ type: "regex", value });
export const present: StringMatch = { type: "present" };

/** A rule to one route. */
export function rule(route: string, ...matches: HttpMatch[]): PolicyRule {
  return { matches, destinations: [{ route, weight: 1 }] };
}

export function compile(rules: readonly PolicyRule[]): CompiledPolicy {
  const { compiled, problems } = compilePolicy(rules);
  if (!compiled) throw new Error(JSON.stringify(problems));
  return compiled;
}

/**
 * The virtual host whose rules the filter decides. The undecided route answers 503; each other does what route says,
 * and by default answers 200 with its id.
 */
export function ruledHost(
  name: string,
  domains: readonly string[],
  rules: readonly PolicyRule[],
  route: (id: string) => object = (id) => answer(id, 200),
): object {
  const compiled = compile(rules);
  const ids = new Set(rules.flatMap((rule) => rule.destinations.map(({ route }) => route)));
  const map = Object.fromEntries([...ids].map((id) => [id, routeAction(route(id))]));
  return {
    name,
    domains,
    matcher: {
      matcher_tree: {
        input: {
          name: "route",
          typed_config: {
            "@type": `${TYPE}envoy.extensions.matching.common_inputs.network.v3.FilterStateInput`,
            key: ROUTE_FILTER_STATE,
          },
        },
        exact_match_map: { map },
      },
      on_no_match: routeAction(undecidedRoute(compiled)),
    },
  };
}

function undecidedRoute(compiled: CompiledPolicy): object {
  return {
    ...answer("undecided", 503),
    name: undecidedRouteName(compiled),
    metadata: {
      typed_filter_metadata: {
        [IMAGE_METADATA_KEY]: {
          "@type": `${TYPE}google.protobuf.BytesValue`,
          value: Buffer.from(compiled.image).toString("base64"),
        },
      },
    },
  };
}

/** Says the route's id in its body, and in header x-route. */
function answer(id: string, status: number): object {
  return {
    match: { prefix: "/" },
    direct_response: { status, body: { inline_string: id } },
    response_headers_to_add: [{ header: { key: "x-route", value: id } }],
  };
}

function routeAction(route: object): object {
  return {
    action: { name: "route", typed_config: { "@type": `${TYPE}envoy.config.route.v3.Route`, ...route } },
  };
}

/** What there is to choose about the filter's configuration. */
export interface FilterOptions {
  /** FILTER_NAME by default. */
  readonly name?: string;
  readonly module?: string;
  /** The plugin's own configuration, which the filter does not look at. */
  readonly configuration?: string;
}

/** The filter's configuration as the control plane gives it. */
export function filterConfig({ name = FILTER_NAME, module = MODULE, configuration }: FilterOptions = {}): object {
  return {
    "@type": `${TYPE}envoy.extensions.filters.http.wasm.v3.Wasm`,
    config: {
      name,
      root_id: name,
      failure_policy: "FAIL_RELOAD",
      vm_config: {
        vm_id: name,
        runtime: "envoy.wasm.runtime.v8",
        code: { local: { filename: module } },
      },
      ...(configuration
        ? { configuration: { "@type": `${TYPE}google.protobuf.StringValue`, value: configuration } }
        : {}),
    },
  };
}

/** The filter, built into the listener. */
export function staticFilter(options: FilterOptions = {}): object {
  return { name: options.name ?? FILTER_NAME, typed_config: filterConfig(options) };
}

/** The filter by ECDS, from a file that can be replaced while Envoy runs. */
export class DiscoveredFilter {
  private version = 0;

  private constructor(
    private readonly directory: string,
    readonly filter: object,
  ) {}

  static async create(scope: Scope, options: FilterOptions = {}): Promise<DiscoveredFilter> {
    const directory = await scope.directory();
    const config_source = {
      resource_api_version: "V3",
      path_config_source: { path: join(directory, "ecds.json"), watched_directory: { path: directory } },
    };
    const discovered = new DiscoveredFilter(directory, {
      name: FILTER_NAME,
      config_discovery: { config_source, type_urls: [`${TYPE}envoy.extensions.filters.http.wasm.v3.Wasm`] },
    });
    await discovered.replace(options);
    return discovered;
  }

  /** Puts another configuration in the place of the one before, in one step. */
  async replace(options: FilterOptions): Promise<void> {
    const resource = {
      "@type": `${TYPE}envoy.config.core.v3.TypedExtensionConfig`,
      name: FILTER_NAME,
      typed_config: filterConfig(options),
    };
    const written = join(this.directory, "next.json");
    await writeFile(written, JSON.stringify({ version_info: `${++this.version}`, resources: [resource] }));
    await rename(written, join(this.directory, "ecds.json"));
  }
}

/** Another module that does the same: the filter with a custom section, so that Envoy starts a new VM for it. */
export async function moduleOfOtherBytes(scope: Scope): Promise<string> {
  const path = join(await scope.directory(), "other.wasm");
  const section = [0, 5, 4, ...Buffer.from("none")];
  await writeFile(path, Buffer.concat([readFileSync(MODULE), Buffer.from(section)]));
  return path;
}

/** Starts an Envoy with these virtual hosts behind the filter. */
export async function startTrafficEnvoy(
  scope: Scope,
  virtualHosts: readonly object[],
  {
    filters = [staticFilter()],
    connectionManager = {},
    clusters = [],
  }: { filters?: readonly object[]; connectionManager?: object; clusters?: readonly object[] } = {},
): Promise<TrafficEnvoy> {
  const address = await loopbackAddress(scope);
  const port = await freePort(address);
  const router = { name: "router", typed_config: { "@type": `${TYPE}envoy.extensions.filters.http.router.v3.Router` } };
  const bootstrap = {
    node: { id: "test", cluster: "test" },
    static_resources: {
      clusters,
      listeners: [
        {
          name: "front",
          address: { socket_address: { address, port_value: port } },
          filter_chains: [
            {
              filters: [
                {
                  name: "http",
                  typed_config: {
                    "@type": `${TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
                    stat_prefix: "front",
                    normalize_path: true,
                    merge_slashes: true,
                    path_with_escaped_slashes_action: "UNESCAPE_AND_REDIRECT",
                    strip_any_host_port: true,
                    strip_trailing_host_dot: true,
                    route_config: { virtual_hosts: virtualHosts },
                    http_filters: [...filters, router],
                    ...connectionManager,
                  },
                },
              ],
            },
          ],
        },
      ],
    },
  };
  const envoy = await startTestEnvoy(scope, bootstrap);
  return { ...envoy, url: `http://${address}:${port}` };
}
