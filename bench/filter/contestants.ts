// Who is compared: ways to route a request by N rules for one host, the last of which it meets.
import type { PolicyRule } from "../../controlplane/policy/rule.js";
import { exact, match, prefix, rule, ruledHost, staticFilter } from "../../test/filter/traffic-envoy.js";

const TYPE = "type.googleapis.com/";

export interface Contestant {
  readonly name: "none" | "native" | "lua" | "headgate";
  /** 0 for the one without rules. */
  readonly rules: number;
  readonly virtualHost: object;
  /** Before the router. */
  readonly filters: readonly object[];
}

/** What the measured request carries, so that it meets the last of N rules: a header and a path. */
export function lastRequest(rules: number): { readonly user: string; readonly path: string } {
  return { user: `user-${rules - 1}`, path: `/service/${rules - 1}/items` };
}

/** Where requests end: answered by Envoy itself, or by a backend behind the cluster "backend". */
export type Ending = "direct" | "upstream";

function ending(to: Ending): object {
  return to === "direct"
    ? { direct_response: { status: 200, body: { inline_string: "ok" } } }
    : { route: { cluster: "backend" } };
}

/** One route for everything. */
export function withoutRules(to: Ending): Contestant {
  const virtualHost = { name: "host", domains: ["*"], routes: [{ match: { prefix: "/" }, ...ending(to) }] };
  return { name: "none", rules: 0, virtualHost, filters: [] };
}

/** Envoy's own route list: a header and a prefix for each rule, tried in order. */
export function nativeRoutes(rules: number, to: Ending): Contestant {
  const routes = Array.from({ length: rules }, (_, index) => ({
    match: {
      prefix: `/service/${index}/`,
      headers: [{ name: "x-user", string_match: { exact: `user-${index}` } }],
    },
    ...ending(to),
  }));
  return { name: "native", rules, virtualHost: { name: "host", domains: ["*"], routes }, filters: [] };
}

/** The same rules in Lua, tried in order; the decision goes into a header that native routes match. */
export function luaRules(rules: number, to: Ending): Contestant {
  const conditions = Array.from(
    { length: rules },
    (_, index) => `  {user = "user-${index}", prefix = "/service/${index}/", route = "route-${index}"},`,
  );
  const inline_string = `local rules = {
${conditions.join("\n")}
}
function envoy_on_request(handle)
  local headers = handle:headers()
  headers:remove("x-route")
  local user = headers:get("x-user")
  local path = headers:get(":path")
  for _, rule in ipairs(rules) do
    if user == rule.user and string.sub(path, 1, #rule.prefix) == rule.prefix then
      headers:add("x-route", rule.route)
      handle:clearRouteCache()
      return
    end
  end
end
`;
  const routes = Array.from({ length: rules }, (_, index) => ({
    match: { prefix: "/", headers: [{ name: "x-route", string_match: { exact: `route-${index}` } }] },
    ...ending(to),
  }));
  const lua = {
    name: "lua",
    typed_config: {
      "@type": `${TYPE}envoy.extensions.filters.http.lua.v3.Lua`,
      default_source_code: { inline_string },
    },
  };
  return { name: "lua", rules, virtualHost: { name: "host", domains: ["*"], routes }, filters: [lua] };
}

export function headgateRules(rules: number): readonly PolicyRule[] {
  return Array.from({ length: rules }, (_, index) =>
    rule(
      `route-${index}`,
      match({ headers: new Map([["x-user", exact(`user-${index}`)]]), uri: prefix(`/service/${index}/`) }),
    ),
  );
}

/** The filter, with a route of its own for each rule. */
export function headgate(rules: number, to: Ending): Contestant {
  const route = () => ({ match: { prefix: "/" }, ...ending(to) });
  const virtualHost = ruledHost("host", ["*"], headgateRules(rules), route);
  return { name: "headgate", rules, virtualHost, filters: [staticFilter()] };
}
