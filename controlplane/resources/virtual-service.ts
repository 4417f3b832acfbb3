// VirtualService (networking.istio.io): which destination a request or connection goes to, and how.
import type { Resource } from "./resource.js";

/** Milliseconds. */
export type Millis = number;

/** How a string is compared; "present" asks only that it is there. Regular expressions are RE2, over the whole string. */
export type StringMatch =
  | { readonly type: "exact"; readonly value: string }
  | { readonly type: "prefix"; readonly value: string }
  | { readonly type: "regex"; readonly value: string }
  | { readonly type: "present" };

/** Conditions that must all hold. */
export interface HttpMatch {
  readonly name?: string;
  readonly uri?: StringMatch;
  /** For uri's exact and prefix only. */
  readonly ignoreUriCase: boolean;
  readonly scheme?: StringMatch;
  readonly method?: StringMatch;
  readonly authority?: StringMatch;
  /** Lower-case header names; the keys uri, scheme, method and authority were dropped while decoding. */
  readonly headers: ReadonlyMap<string, StringMatch>;
  readonly withoutHeaders: ReadonlyMap<string, StringMatch>;
  readonly queryParams: ReadonlyMap<string, StringMatch>;
  readonly port?: number;
  readonly sourceLabels: Readonly<Record<string, string>>;
  readonly sourceNamespace?: string;
  /** Gateway names as written; empty means those of the VirtualService. */
  readonly gateways: readonly string[];
  readonly statPrefix?: string;
}

export interface Destination {
  /** As written: short, partial or full. */
  readonly host: string;
  readonly subset?: string;
  readonly port?: number;
}

export interface HeaderOperations {
  readonly set: ReadonlyMap<string, string>;
  readonly add: ReadonlyMap<string, string>;
  readonly remove: readonly string[];
}

export interface Headers {
  readonly request?: HeaderOperations;
  readonly response?: HeaderOperations;
}

export interface HttpRouteDestination {
  readonly destination: Destination;
  /** 0 or more; a single destination without a weight has 100. */
  readonly weight: number;
  readonly headers?: Headers;
}

export interface HttpRedirect {
  readonly uri?: string;
  readonly authority?: string;
  readonly port?: number;
  readonly derivePort?: "FROM_PROTOCOL_DEFAULT" | "FROM_REQUEST_PORT";
  readonly scheme?: string;
  /** 301, 302, 303, 307 or 308. */
  readonly redirectCode: number;
  readonly prefixRewrite?: string;
}

export interface HttpDirectResponse {
  /** 200 to 599. */
  readonly status: number;
  readonly body?: { readonly string: string } | { readonly bytes: Uint8Array };
}

export interface HttpRewrite {
  readonly uri?: string;
  readonly authority?: string;
  readonly uriRegexRewrite?: { readonly match: string; readonly rewrite: string };
}

export interface HttpRetry {
  readonly attempts: number;
  readonly perTryTimeoutMs?: Millis;
  /** Envoy's conditions and status codes, as written; undefined means Headgate's default. */
  readonly retryOn?: string;
  readonly retryRemoteLocalities?: boolean;
  readonly retryIgnorePreviousHosts?: boolean;
  readonly backoffMs?: Millis;
}

export interface HttpFaultInjection {
  readonly delay?: {
    readonly fixedDelayMs: Millis;
    /** 0 to 100, with fractions. */
    readonly percentage: number;
  };
  readonly abort?: {
    readonly httpStatus?: number;
    /** The gRPC status code, 0 to 16. */
    readonly grpcStatus?: number;
    readonly percentage: number;
  };
}

export interface HttpMirror {
  readonly destination: Destination;
  /** 0 to 100; 100 where the object gives none. */
  readonly percentage: number;
}

export interface CorsPolicy {
  readonly allowOrigins: readonly StringMatch[];
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly maxAgeMs?: Millis;
  readonly allowCredentials?: boolean;
  readonly unmatchedPreflights?: "FORWARD" | "IGNORE";
}

export interface HttpRoute {
  readonly name?: string;
  /** Alternatives; empty matches everything. */
  readonly match: readonly HttpMatch[];
  readonly route: readonly HttpRouteDestination[];
  readonly redirect?: HttpRedirect;
  readonly directResponse?: HttpDirectResponse;
  readonly delegate?: { readonly name: string; readonly namespace?: string };
  readonly rewrite?: HttpRewrite;
  readonly timeoutMs?: Millis;
  readonly retries?: HttpRetry;
  readonly fault?: HttpFaultInjection;
  readonly mirrors: readonly HttpMirror[];
  readonly corsPolicy?: CorsPolicy;
  readonly headers?: Headers;
}

export interface L4Destination {
  readonly destination: Destination;
  readonly weight: number;
}

export interface TlsMatch {
  readonly sniHosts: readonly string[];
  readonly destinationSubnets: readonly string[];
  readonly port?: number;
  readonly sourceLabels: Readonly<Record<string, string>>;
  readonly sourceNamespace?: string;
  readonly gateways: readonly string[];
}

export interface TlsRoute {
  readonly match: readonly TlsMatch[];
  readonly route: readonly L4Destination[];
}

export interface TcpMatch {
  readonly destinationSubnets: readonly string[];
  readonly port?: number;
  readonly sourceLabels: Readonly<Record<string, string>>;
  readonly sourceNamespace?: string;
  readonly gateways: readonly string[];
}

export interface TcpRoute {
  readonly match: readonly TcpMatch[];
  readonly route: readonly L4Destination[];
}

export interface VirtualServiceSpec {
  /** As written; empty only for a delegate. */
  readonly hosts: readonly string[];
  /** As written; ["mesh"] where the object gives none. */
  readonly gateways: readonly string[];
  readonly http: readonly HttpRoute[];
  readonly tls: readonly TlsRoute[];
  readonly tcp: readonly TcpRoute[];
  /** Empty means every namespace. */
  readonly exportTo: readonly string[];
}

export type VirtualService = Resource<"VirtualService", VirtualServiceSpec>;
