// A host's rules -> a virtual host: an exact-match table of the routes that the filter's decisions name.
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema, type BytesValue, BytesValueSchema } from "@bufbuild/protobuf/wkt";
import { MetadataSchema } from "../gen/envoy/config/core/v3/base_pb.js";
import {
  type Route,
  RouteSchema,
  type VirtualHost,
  VirtualHost_TlsRequirementType,
  VirtualHostSchema,
} from "../gen/envoy/config/route/v3/route_components_pb.js";
import { FilterStateInputSchema } from "../gen/envoy/extensions/matching/common_inputs/network/v3/network_inputs_pb.js";
import {
  type Matcher,
  type Matcher_OnMatch,
  Matcher_OnMatchSchema,
  MatcherSchema,
} from "../gen/xds/type/matcher/v3/matcher_pb.js";
import {
  type CompiledPolicy,
  compilePolicyInSteps,
  IMAGE_METADATA_KEY,
  ROUTE_FILTER_STATE,
  undecidedRouteName,
} from "../policy/compile.js";
import type { Steps } from "../policy/steps.js";
import { pack, typeUrlOf } from "./resource.js";
import { statusRoute } from "./route.js";
import type { HostRules } from "./rules.js";

/** A host without rules: native routes, which the filter leaves alone. */
export function nativeVirtualHost(name: string, domains: readonly string[], routes: readonly Route[]): VirtualHost {
  return create(VirtualHostSchema, {
    name,
    domains: [...domains],
    routes: [...routes],
    includeRequestAttemptCount: true,
  });
}

/**
 * A host with rules. The undecided route carries the compiled policy; a request stays on it when the filter could not
 * decide, and is then answered 503, or goes to `failOpen` where the policy's author asked for that.
 */
export function* decidedVirtualHost(
  name: string,
  domains: readonly string[],
  rules: HostRules,
  failOpen: Route | undefined,
): Steps<VirtualHost> {
  const { compiled, problems } = yield* compilePolicyInSteps(rules.policy);
  if (!compiled)
    throw new Error(`rules of ${name} passed their checks but do not compile: ${JSON.stringify(problems)}`);
  return create(VirtualHostSchema, {
    name,
    domains: [...domains],
    matcher: routeMatcher(rules.routes, undecidedRoute(compiled, failOpen)),
    includeRequestAttemptCount: true,
  });
}

/** Every request is redirected to https. */
export function redirectingVirtualHost(name: string, domains: readonly string[]): VirtualHost {
  const host = nativeVirtualHost(name, domains, [statusRoute("https-redirect", 404, "")]);
  host.requireTls = VirtualHost_TlsRequirementType.ALL;
  return host;
}

function routeMatcher(routes: HostRules["routes"], undecided: Route): Matcher {
  const map: Record<string, Matcher_OnMatch> = {};
  for (const id of [...routes.keys()].sort()) {
    const encoded = routes.get(id)?.encoded;
    if (encoded) map[id] = routeAction(encoded);
  }
  return create(MatcherSchema, {
    matcherType: {
      case: "matcherTree",
      value: {
        input: {
          name: "decided-route",
          typedConfig: pack(FilterStateInputSchema, create(FilterStateInputSchema, { key: ROUTE_FILTER_STATE })),
        },
        treeType: { case: "exactMatchMap", value: { map } },
      },
    },
    onNoMatch: routeAction(toBinary(RouteSchema, undecided)),
  });
}

function routeAction(encoded: Uint8Array): Matcher_OnMatch {
  const typedConfig = create(AnySchema, { typeUrl: typeUrlOf(RouteSchema), value: encoded });
  return create(Matcher_OnMatchSchema, { onMatch: { case: "action", value: { name: "route", typedConfig } } });
}

function undecidedRoute(compiled: CompiledPolicy, failOpen: Route | undefined): Route {
  const route = failOpen ?? statusRoute("", 503, "headgate: undecided\n");
  const image: BytesValue = create(BytesValueSchema, { value: compiled.image });
  return create(RouteSchema, {
    ...route,
    name: undecidedRouteName(compiled),
    metadata: create(MetadataSchema, { typedFilterMetadata: { [IMAGE_METADATA_KEY]: pack(BytesValueSchema, image) } }),
  });
}
