// headers.request and headers.response of a rule and of its destination -> Envoy's header operations on a route.
import { create } from "@bufbuild/protobuf";
import {
  HeaderValueOption_HeaderAppendAction as AppendAction,
  type HeaderValueOption,
  HeaderValueOptionSchema,
} from "../gen/envoy/config/core/v3/base_pb.js";
import type { Route } from "../gen/envoy/config/route/v3/route_components_pb.js";
import type { HeaderOperations, Headers } from "../resources/virtual-service.js";

/** Applies the operations in the order given; later ones see what earlier ones did. */
export function applyHeaderOperations(route: Route, operations: readonly (Headers | undefined)[]): void {
  for (const headers of operations) {
    const [request, response] = [removals(headers?.request), removals(headers?.response)];
    route.requestHeadersToAdd = [...without(route.requestHeadersToAdd, request), ...additions(headers?.request)];
    route.requestHeadersToRemove.push(...request);
    route.responseHeadersToAdd = [...without(route.responseHeadersToAdd, response), ...additions(headers?.response)];
    route.responseHeadersToRemove.push(...response);
  }
}

/** Envoy removes before it adds, so what a later operation removes must not be added by an earlier one. */
function without(additions: readonly HeaderValueOption[], removed: readonly string[]): HeaderValueOption[] {
  const names = new Set(removed.map((name) => name.toLowerCase()));
  return additions.filter(({ header }) => !names.has(header?.key.toLowerCase() ?? ""));
}

/** Setting Host or :authority is a rewrite, which the route action does. */
export function authorityOf(operations: readonly (Headers | undefined)[]): string | undefined {
  let authority: string | undefined;
  for (const headers of operations) {
    for (const [name, value] of headers?.request?.set ?? []) if (isAuthority(name)) authority = value;
  }
  return authority;
}

function isAuthority(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === "host" || lower === ":authority";
}

function additions(operations: HeaderOperations | undefined): HeaderValueOption[] {
  if (!operations) return [];
  return [
    ...option(operations.set, AppendAction.OVERWRITE_IF_EXISTS_OR_ADD),
    ...option(operations.add, AppendAction.APPEND_IF_EXISTS_OR_ADD),
  ];
}

function option(values: ReadonlyMap<string, string>, appendAction: AppendAction): HeaderValueOption[] {
  return [...values]
    .filter(([name]) => !isAuthority(name))
    .map(([key, value]) =>
      // A percent sign would start one of Envoy's format commands, as it does in Istio; people use that.
      create(HeaderValueOptionSchema, { header: { key, value }, appendAction, keepEmptyValue: true }),
    );
}

function removals(operations: HeaderOperations | undefined): string[] {
  return operations ? operations.remove.filter((name) => !isAuthority(name)) : [];
}
