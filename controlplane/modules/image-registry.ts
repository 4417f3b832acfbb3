// One repository of a registry that speaks the OCI distribution protocol: its manifests and blobs, by digest or tag.
import { createHash } from "node:crypto";
import type { ImageReference } from "../resources/module-source.js";
import { missing, type Outcome } from "./fault.js";
import { type GetAnswer, httpGet } from "./http-get.js";
import type { Credentials } from "./pull-secret.js";

export interface RepositoryOptions {
  readonly reference: Pick<ImageReference, "registry" | "repository">;
  /** By plain HTTP; otherwise with TLS. */
  readonly plain: boolean;
  readonly credentials?: Credentials;
  readonly signal: AbortSignal;
}

/** Bytes, and the SHA-256 that they were held against or have. */
export interface Content {
  readonly bytes: Uint8Array;
  readonly digest: string;
  readonly mediaType: string;
}

const MOST_MANIFEST_BYTES = 4 << 20;
const TIMEOUT_MILLIS = 60_000;

export const MANIFEST_TYPES = {
  image: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  dockerImage: "application/vnd.docker.distribution.manifest.v2+json",
  dockerIndex: "application/vnd.docker.distribution.manifest.list.v2+json",
} as const;

export class Repository {
  readonly #options: RepositoryOptions;
  /** As the registry asked for it once. */
  #authorization: string | undefined;

  constructor(options: RepositoryOptions) {
    this.#options = options;
  }

  /** A manifest or index. reference: a tag, or a digest in hexadecimal, which the content must then have. */
  async manifest(reference: { readonly tag: string } | { readonly digest: string }): Promise<Outcome<Content>> {
    const digest = "digest" in reference ? reference.digest : undefined;
    const name = "tag" in reference ? reference.tag : `sha256:${reference.digest}`;
    const accept = Object.values(MANIFEST_TYPES).join(", ");
    return this.#get("manifest", `manifests/${name}`, { accept }, MOST_MANIFEST_BYTES, digest);
  }

  blob(digest: string, mostBytes: number): Promise<Outcome<Content>> {
    return this.#get("blob", `blobs/sha256:${digest}`, {}, mostBytes, digest);
  }

  async #get(
    what: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    mostBytes: number,
    digest: string | undefined,
  ): Promise<Outcome<Content>> {
    const { reference, plain } = this.#options;
    const url = `${plain ? "http" : "https"}://${reference.registry}/v2/${reference.repository}/${path}`;
    const answer = await this.#ask(url, headers, mostBytes);
    if ("fault" in answer) return answer;
    const { status, body, headers: given } = answer.value;
    if (status !== 200) return missing(`the registry answers ${status} for its ${what}${meaningOf(status)}`);
    const actual = createHash("sha256").update(body).digest("hex");
    if (digest !== undefined && actual !== digest)
      return missing(`its ${what} has the SHA-256 ${actual}, where ${digest} was asked for`);
    const mediaType = (given.get("content-type") ?? "").split(";", 1)[0]?.trim() ?? "";
    return { value: { bytes: body, digest: actual, mediaType } };
  }

  /** Asks again with what the registry wants to see, if that can be had. */
  async #ask(url: string, headers: Readonly<Record<string, string>>, mostBytes: number): Promise<Outcome<GetAnswer>> {
    const first = await this.#send(url, { ...headers, ...authorizationHeader(this.#authorization) }, mostBytes);
    if ("fault" in first || first.value.status !== 401) return first;
    const authorization = await this.#authorize(first.value.headers.get("www-authenticate") ?? "");
    if ("fault" in authorization) return authorization;
    if (authorization.value === undefined) return first;
    this.#authorization = authorization.value;
    return this.#send(url, { ...headers, authorization: authorization.value }, mostBytes);
  }

  async #authorize(challenge: string): Promise<Outcome<string | undefined>> {
    const { credentials, reference, plain } = this.#options;
    const basic =
      credentials && `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}`;
    if (/^basic\b/i.test(challenge)) return { value: basic };
    const parameters = bearerParameters(challenge);
    const realm = parameters?.get("realm");
    if (!parameters || !realm || !URL.canParse(realm)) return { value: undefined };
    const url = new URL(realm);
    // Whom credentials are given to is the registry's to say, but not that they go there unprotected.
    if (url.protocol !== "https:" && !plain) return missing("the registry's token service is without TLS");
    const service = parameters.get("service");
    if (service !== undefined) url.searchParams.set("service", service);
    url.searchParams.set("scope", parameters.get("scope") ?? `repository:${reference.repository}:pull`);
    const answer = await this.#send(url.href, authorizationHeader(basic), MOST_MANIFEST_BYTES);
    if ("fault" in answer) return answer;
    if (answer.value.status !== 200)
      return missing(`the registry's token service answers ${answer.value.status}${meaningOf(answer.value.status)}`);
    const token = readToken(answer.value.body);
    return token === undefined ? missing("the registry's token service gives no token") : { value: `Bearer ${token}` };
  }

  async #send(url: string, headers: Readonly<Record<string, string>>, mostBytes: number): Promise<Outcome<GetAnswer>> {
    const { signal } = this.#options;
    const answer = await httpGet({ url, headers, mostBytes, timeoutMillis: TIMEOUT_MILLIS, signal });
    return "error" in answer ? missing(`the registry fails: ${answer.error}`) : answer;
  }
}

function authorizationHeader(value: string | undefined): Readonly<Record<string, string>> {
  return value === undefined ? {} : { authorization: value };
}

function meaningOf(status: number): string {
  if (status === 401 || status === 403) return ": imagePullSecret must name a secret with credentials that it admits";
  return status === 404 ? ": there is no such image" : "";
}

/** RFC 7235: name="value" pairs behind the scheme. */
function bearerParameters(challenge: string): ReadonlyMap<string, string> | undefined {
  const [, rest] = /^bearer\s+(.*)$/is.exec(challenge) ?? [];
  if (rest === undefined) return undefined;
  const pairs = [...rest.matchAll(/([a-z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]*))/gi)];
  return new Map(pairs.map(([, name = "", quoted, bare]) => [name.toLowerCase(), quoted ?? bare ?? ""]));
}

function readToken(body: Uint8Array): string | undefined {
  try {
    const { token, access_token } = JSON.parse(Buffer.from(body).toString("utf8")) as Record<string, unknown>;
    const found = token ?? access_token;
    return typeof found === "string" && /^[\x21-\x7e]+$/.test(found) ? found : undefined;
  } catch {
    return undefined;
  }
}
