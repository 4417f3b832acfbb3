// A request as a caller describes it -> the request as Envoy's filters see it.
import { normalizePath } from "./normalize-path.js";

export interface FilterRequest {
  readonly method: string;
  readonly scheme: string;
  /** With or without a port. */
  readonly authority: string;
  /** With its query. */
  readonly path: string;
  /** In order; a name may come several times, in any case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The client's address and port, for example "10.0.0.7:41234". */
  readonly sourceAddress?: string;
}

export interface RequestInEnvoy {
  /** Lower-case names, pseudo-headers first. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly path: string;
  /** Envoy sends the client to path with a redirect first. */
  readonly redirected: boolean;
}

/**
 * The header list that Envoy shows its filters, told to normalise paths, merge slashes, unescape escaped slashes, and
 * strip ports and a trailing dot from hosts. An error says why Envoy would answer the request itself: with 400, or for
 * an escaped slash with a redirect to the path without it.
 */
export function headersInEnvoy(request: FilterRequest): RequestInEnvoy | { readonly error: string } {
  const path = normalizePath(request.path);
  if ("error" in path) return path;
  return {
    path: path.value,
    redirected: path.redirected,
    headers: [
      [":method", request.method],
      [":scheme", request.scheme],
      [":authority", withoutPort(request.authority)],
      [":path", path.value],
      ...request.headers.map(([name, value]) => [name.toLowerCase(), value] as const),
    ],
  };
}

function withoutPort(authority: string): string {
  const host = authority.replace(/:\d+$/, "");
  return host.endsWith(".") ? host.slice(0, -1) : host;
}
