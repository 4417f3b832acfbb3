// A rule and one of its destinations -> the action that sends a request there: timeout, retries, mirrors, rewrites.
import { create } from "@bufbuild/protobuf";
import {
  type RouteAction,
  type RouteAction_HashPolicy,
  RouteAction_HashPolicySchema,
  RouteAction_RequestMirrorPolicySchema,
  RouteActionSchema,
} from "../gen/envoy/config/route/v3/route_components_pb.js";
import {
  CorsPolicySchema,
  type CorsPolicy as EnvoyCorsPolicy,
} from "../gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { RegexMatchAndSubstituteSchema } from "../gen/envoy/type/matcher/v3/regex_pb.js";
import { type StringMatcher, StringMatcherSchema } from "../gen/envoy/type/matcher/v3/string_pb.js";
import type { ConsistentHash } from "../resources/destination-rule.js";
import type { CorsPolicy, HttpMatch, HttpRewrite, HttpRoute, StringMatch } from "../resources/virtual-service.js";
import { retryPolicy } from "./retries.js";
import { duration, millionths } from "./values.js";

/** What an action needs to know of the places it names. */
export interface ActionTargets {
  readonly cluster: string;
  /** Of each of the rule's mirrors; undefined where the destination does not exist. */
  readonly mirrors: readonly (string | undefined)[];
  /** The destination's consistent hash, which needs the request's key. */
  readonly consistentHash?: ConsistentHash;
  /** From header operations on Host; goes before rewrite.authority. */
  readonly authority?: string;
}

/** `rule` undefined: a host that no rule speaks of. No timeout unless the rule sets one, as in Istio. */
export function routeAction(
  rule: HttpRoute | undefined,
  match: HttpMatch | undefined,
  targets: ActionTargets,
): RouteAction {
  const action = create(RouteActionSchema, {
    clusterSpecifier: { case: "cluster", value: targets.cluster },
    timeout: duration(rule?.timeoutMs ?? 0),
    hashPolicy: targets.consistentHash ? [hashPolicy(targets.consistentHash)] : [],
  });
  const retries = retryPolicy(rule?.retries);
  if (retries) action.retryPolicy = retries;
  if (rule?.rewrite) applyRewrite(action, rule.rewrite, match);
  const authority = targets.authority ?? rule?.rewrite?.authority;
  if (authority) action.hostRewriteSpecifier = { case: "hostRewriteLiteral", value: authority };
  action.requestMirrorPolicies = (rule?.mirrors ?? []).flatMap((mirror, index) => {
    const cluster = targets.mirrors[index];
    if (cluster === undefined) return [];
    return [
      create(RouteAction_RequestMirrorPolicySchema, {
        cluster,
        runtimeFraction: { defaultValue: millionths(mirror.percentage) },
        disableShadowHostSuffixAppend: true,
      }),
    ];
  });
  return action;
}

function applyRewrite(action: RouteAction, rewrite: HttpRewrite, match: HttpMatch | undefined): void {
  if (rewrite.uriRegexRewrite) {
    action.regexRewrite = create(RegexMatchAndSubstituteSchema, {
      pattern: { regex: rewrite.uriRegexRewrite.match },
      substitution: rewrite.uriRegexRewrite.rewrite,
    });
  } else if (rewrite.uri !== undefined) {
    if (match?.uri?.type === "regex") {
      // Only a prefix or the whole path can be replaced by Envoy's prefix rewrite; a regular expression matched it all.
      action.regexRewrite = create(RegexMatchAndSubstituteSchema, {
        pattern: { regex: "^.*$" },
        substitution: rewrite.uri.replaceAll("\\", "\\\\"),
      });
    } else {
      action.prefixRewrite = rewrite.uri;
    }
  }
}

function hashPolicy(hash: ConsistentHash): RouteAction_HashPolicy {
  const { key } = hash;
  switch (key.type) {
    case "header":
      return create(RouteAction_HashPolicySchema, {
        policySpecifier: { case: "header", value: { headerName: key.name } },
      });
    case "cookie":
      return create(RouteAction_HashPolicySchema, {
        policySpecifier: {
          case: "cookie",
          value: {
            name: key.name,
            path: key.path ?? "",
            ...(key.ttlMs === undefined ? {} : { ttl: duration(key.ttlMs) }),
          },
        },
      });
    case "queryParameter":
      return create(RouteAction_HashPolicySchema, {
        policySpecifier: { case: "queryParameter", value: { name: key.name } },
      });
    case "sourceIp":
      return create(RouteAction_HashPolicySchema, {
        policySpecifier: { case: "connectionProperties", value: { sourceIp: true } },
      });
  }
}

/** The per-route configuration of Envoy's CORS filter. */
export function corsPolicy(policy: CorsPolicy): EnvoyCorsPolicy {
  return create(CorsPolicySchema, {
    allowOriginStringMatch: policy.allowOrigins.map(stringMatcher),
    allowMethods: policy.allowMethods.join(","),
    allowHeaders: policy.allowHeaders.join(","),
    exposeHeaders: policy.exposeHeaders.join(","),
    maxAge: policy.maxAgeMs === undefined ? "" : String(Math.floor(policy.maxAgeMs / 1000)),
    ...(policy.allowCredentials === undefined ? {} : { allowCredentials: policy.allowCredentials }),
    ...(policy.unmatchedPreflights === "IGNORE" ? { forwardNotMatchingPreflights: false } : {}),
  });
}

function stringMatcher(match: StringMatch): StringMatcher {
  switch (match.type) {
    case "exact":
      return create(StringMatcherSchema, { matchPattern: { case: "exact", value: match.value } });
    case "prefix":
      return create(StringMatcherSchema, { matchPattern: { case: "prefix", value: match.value } });
    case "regex":
      return create(StringMatcherSchema, { matchPattern: { case: "safeRegex", value: { regex: match.value } } });
    case "present":
      return create(StringMatcherSchema, { matchPattern: { case: "prefix", value: "" } });
  }
}
