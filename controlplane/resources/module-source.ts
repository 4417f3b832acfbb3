// Where a filter's module comes from: the url of a WasmPlugin or TrafficExtension, read.
import { quote } from "./names.js";
import type { Fault } from "./report.js";

export type ModuleSource =
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "http"; readonly url: string }
  | ({ readonly type: "oci" } & ImageReference)
  /** A version of the filter registry's; without one, that which `headgate filter use` chose for the proxy. */
  | { readonly type: "registry"; readonly filter: string; readonly version?: string };

/** An image in a registry of the OCI distribution protocol. */
export interface ImageReference {
  /** host or host:port, as it is connected to. */
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  /** 64 hexadecimal digits of the manifest's SHA-256; goes before the tag. */
  readonly digest?: string;
}

const REPOSITORY = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:([0-9a-f]{64})$/;
const HOST = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
const FILTER = /^[a-z0-9](?:[-a-z0-9.]{0,61}[a-z0-9])?(?:@[A-Za-z0-9](?:[-A-Za-z0-9._+]{0,61}[A-Za-z0-9])?)?$/;

/** Undefined for a url that is none of ours. One without a scheme is an image, as in Istio. */
export function parseModuleSource(url: string): ModuleSource | undefined {
  const [, scheme = "oci", rest = ""] = /^(?:([A-Za-z][A-Za-z0-9+.-]*):\/\/)?(.*)$/s.exec(url) ?? [];
  switch (scheme) {
    case "file":
      return rest.startsWith("/") && !rest.includes("\0") ? { type: "file", path: rest } : undefined;
    case "http":
    case "https":
      return isWebAddress(url) ? { type: "http", url } : undefined;
    case "oci":
      return parseImage(rest);
    case "headgate":
      return FILTER.test(rest) ? parseFilter(rest) : undefined;
    default:
      return undefined;
  }
}

/** What is wrong with a module's url. */
export function checkModuleUrl(url: string): Fault | undefined {
  if (parseModuleSource(url) !== undefined) return undefined;
  const forms = "file:///PATH, https://HOST/PATH, oci://REGISTRY/REPOSITORY:TAG or headgate://FILTER@VERSION";
  return { code: "invalid-value", message: `${quote(url)} names no module; write ${forms}.` };
}

/** Whether a web address is reached without TLS beyond this machine. */
export function isOpenAddress(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "http:" && !isLoopback(hostname);
}

/** Whether a host's name or address means this machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

function isWebAddress(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { username, password, hostname } = new URL(url);
  return hostname !== "" && username === "" && password === "";
}

function parseFilter(text: string): ModuleSource {
  const [filter = "", version] = text.split("@");
  return version === undefined ? { type: "registry", filter } : { type: "registry", filter, version };
}

/** As Docker reads references: a first part that looks like a host is the registry, and Docker Hub's is understood. */
function parseImage(text: string): ModuleSource | undefined {
  const [named = "", pinned, more] = text.split("@");
  const digest = pinned === undefined ? undefined : DIGEST.exec(pinned)?.[1];
  if (more !== undefined || (pinned !== undefined && digest === undefined)) return undefined;
  const slash = named.indexOf("/");
  const first = named.slice(0, Math.max(slash, 0));
  const isHost = /[.:]/.test(first) || first === "localhost";
  const path = isHost ? named.slice(slash + 1) : named;
  const [, repository = "", tag = "latest"] = /^(.*?)(?::([^/:]*))?$/.exec(path) ?? [];
  const registry = isHost ? first : "docker.io";
  const isHub = registry === "docker.io" || registry === "index.docker.io";
  const full = isHub && !repository.includes("/") ? `library/${repository}` : repository;
  if (!HOST.test(registry) || !REPOSITORY.test(full) || full.length > 255 || !TAG.test(tag)) return undefined;
  const host = isHub ? "registry-1.docker.io" : registry;
  return { type: "oci", registry: host, repository: full, tag, ...(digest === undefined ? {} : { digest }) };
}
