// One destination, redirect or direct response of a rule -> one Envoy route.
import { create } from "@bufbuild/protobuf";
import {
  RedirectAction_RedirectResponseCode as Code,
  DirectResponseActionSchema,
  RedirectActionSchema,
  type Route,
  type RouteMatch,
  RouteMatchSchema,
  RouteSchema,
} from "../gen/envoy/config/route/v3/route_components_pb.js";
import type { HttpDirectResponse, HttpMatch, HttpRedirect, HttpRoute } from "../resources/virtual-service.js";
import type { Site } from "./site.js";

/** A route that takes any path: the filter has matched already. */
export function anyPath(): RouteMatch {
  return create(RouteMatchSchema, { pathSpecifier: { case: "prefix", value: "/" } });
}

/**
 * The path condition that a rewrite of the path depends on. Envoy replaces what this matched, so a rule that rewrites
 * has a route for each of its alternatives.
 */
export function pathMatch(match: HttpMatch | undefined): RouteMatch {
  const uri = match?.uri;
  if (!uri || uri.type === "present") return anyPath();
  const caseSensitive = !match.ignoreUriCase;
  switch (uri.type) {
    case "exact":
      return create(RouteMatchSchema, { pathSpecifier: { case: "path", value: uri.value }, caseSensitive });
    case "prefix":
      return create(RouteMatchSchema, { pathSpecifier: { case: "prefix", value: uri.value }, caseSensitive });
    case "regex":
      return create(RouteMatchSchema, { pathSpecifier: { case: "safeRegex", value: { regex: uri.value } } });
  }
}

/** Whether the rule's routes rewrite what matched, so that their match must be the rule's own. */
export function rewritesMatchedPath(rule: HttpRoute): boolean {
  return rule.rewrite?.uri !== undefined || rule.redirect?.prefixRewrite !== undefined;
}

/** Whether the rule's routes differ by the alternative that matched: in what they rewrite, or in their names. */
export function dependsOnAlternative(rule: HttpRoute): boolean {
  return rewritesMatchedPath(rule) || rule.match.some(({ name, statPrefix }) => name ?? statPrefix);
}

/** As Istio names it: the rule's name, with the alternative's behind a dot. */
export function routeName(rule: HttpRoute, match: HttpMatch | undefined): string {
  return [rule.name, match?.name].filter(Boolean).join(".");
}

export function statusRoute(name: string, status: number, body: string): Route {
  return directResponseRoute(name, { status, body: { string: body } });
}

export function directResponseRoute(name: string, response: HttpDirectResponse): Route {
  const { status, body } = response;
  const empty = !body || ("string" in body && body.string === "");
  return create(RouteSchema, {
    name,
    match: anyPath(),
    action: {
      case: "directResponse",
      value: create(DirectResponseActionSchema, {
        status,
        ...(empty || !body
          ? {}
          : {
              body: {
                specifier:
                  "string" in body
                    ? { case: "inlineString" as const, value: body.string }
                    : { case: "inlineBytes" as const, value: body.bytes },
              },
            }),
      }),
    },
  });
}

const REDIRECT_CODES: Readonly<Record<number, Code>> = {
  301: Code.MOVED_PERMANENTLY,
  302: Code.FOUND,
  303: Code.SEE_OTHER,
  307: Code.TEMPORARY_REDIRECT,
  308: Code.PERMANENT_REDIRECT,
};
const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** The site is where the request came in; FROM_REQUEST_PORT redirects to its port. */
export function redirectRoute(name: string, redirect: HttpRedirect, match: HttpMatch | undefined, site: Site): Route {
  const action = create(RedirectActionSchema, {
    hostRedirect: redirect.authority ?? "",
    responseCode: REDIRECT_CODES[redirect.redirectCode] ?? Code.MOVED_PERMANENTLY,
  });
  if (redirect.uri !== undefined) action.pathRewriteSpecifier = { case: "pathRedirect", value: redirect.uri };
  if (redirect.prefixRewrite !== undefined) {
    action.pathRewriteSpecifier = { case: "prefixRewrite", value: redirect.prefixRewrite };
  }
  if (redirect.scheme) action.schemeRewriteSpecifier = { case: "schemeRedirect", value: redirect.scheme };
  if (redirect.port !== undefined) action.portRedirect = redirect.port;
  else if (redirect.derivePort === "FROM_REQUEST_PORT") action.portRedirect = site.port;
  else if (redirect.derivePort === "FROM_PROTOCOL_DEFAULT") {
    action.portRedirect = DEFAULT_PORTS[redirect.scheme ?? (site.secure ? "https" : "http")] ?? 0;
  }
  return create(RouteSchema, {
    name,
    match: redirect.prefixRewrite === undefined ? anyPath() : pathMatch(match),
    action: { case: "redirect", value: action },
  });
}
