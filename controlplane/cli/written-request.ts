// A request as people write it, in flags or YAML -> one that can be explained.
import type { DescribedRequest } from "../explain/explain.js";
import type { Read } from "./flag-values.js";

/** Every field may be absent, and none is checked yet. */
export interface WrittenRequest {
  readonly method?: unknown;
  readonly scheme?: unknown;
  readonly authority?: unknown;
  readonly path?: unknown;
  /** name: value, name: [values], or a list of [name, value]. */
  readonly headers?: unknown;
  readonly port?: unknown;
  readonly gateway?: unknown;
  readonly sourceAddress?: unknown;
  readonly time?: unknown;
  readonly seed?: unknown;
}

/** `ports` are those that the proxy takes requests on: the only one is the default, after the authority's own. */
export function readRequest(written: WrittenRequest, ports: readonly number[]): Read<DescribedRequest> {
  const authority = text(written.authority);
  if (authority === undefined) return { error: "a request needs an authority (its Host)" };
  const path = text(written.path) ?? "/";
  if (!path.startsWith("/")) return { error: `path "${path}" does not begin with a slash` };
  const port = readPort(written.port, authority, ports);
  if ("error" in port) return port;
  const headers = readHeaders(written.headers);
  if ("error" in headers) return headers;
  const now = written.time === undefined ? Date.now() : Date.parse(String(written.time));
  if (Number.isNaN(now)) return { error: `time "${written.time}": write it as in 2030-01-31T12:00:00Z` };
  const seed = String(written.seed ?? 1);
  if (!/^\d{1,18}$/.test(seed)) return { error: `seed "${seed}" is no whole number` };
  const gateway = text(written.gateway);
  const sourceAddress = text(written.sourceAddress);
  return {
    value: {
      method: (text(written.method) ?? "GET").toUpperCase(),
      scheme: text(written.scheme) ?? "http",
      authority,
      path,
      headers: headers.value,
      port: port.value,
      now,
      seed: BigInt(seed),
      ...(gateway === undefined ? {} : { gateway }),
      ...(sourceAddress === undefined ? {} : { sourceAddress }),
    },
  };
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

const DEFAULT_PORT = 80;

function readPort(written: unknown, authority: string, ports: readonly number[]): Read<number> {
  const inAuthority = /:(\d+)$/.exec(authority)?.[1];
  const [only = DEFAULT_PORT] = ports;
  const port = written ?? inAuthority ?? (ports.length <= 1 ? only : undefined);
  if (port === undefined) {
    return { error: `say which port of the proxy the request is sent to: it takes requests on ${ports.join(", ")}` };
  }
  const number = Number(port);
  return Number.isInteger(number) && number > 0 && number < 65_536
    ? { value: number }
    : { error: `port "${port}" is no port` };
}

function readHeaders(written: unknown): Read<readonly (readonly [string, string])[]> {
  if (written === undefined || written === null) return { value: [] };
  if (typeof written !== "object") return { error: "headers must map names to values" };
  const pairs: unknown[] = Array.isArray(written)
    ? written
    : Object.entries(written).flatMap(([name, value]) =>
        Array.isArray(value) ? value.map((one) => [name, one]) : [[name, value]],
      );
  const headers: [string, string][] = [];
  for (const pair of pairs) {
    const [name, value] = Array.isArray(pair) ? pair : [];
    if (typeof name !== "string" || (typeof value !== "string" && typeof value !== "number")) {
      return { error: "headers must map names to values" };
    }
    headers.push([name, String(value)]);
  }
  return { value: headers };
}
