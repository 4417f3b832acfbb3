// Gets the module of an extension from where its url says, or from what was fetched before.
import { createHash } from "node:crypto";
import { constants, open } from "node:fs/promises";
import { DEFAULT_LIMITS } from "../registry/check.js";
import type { FilterRegistry } from "../registry/registry.js";
import type { Secret } from "../resources/kubernetes.js";
import { isLoopback } from "../resources/module-source.js";
import type { WasmFilter } from "../resources/wasm-plugin.js";
import { missing, type Outcome } from "./fault.js";
import { httpGet } from "./http-get.js";
import type { ModuleCache } from "./module-cache.js";
import { readPullSecret } from "./pull-secret.js";
import { pullModule } from "./wasm-image.js";

export interface ModuleWays {
  /** Without it nothing outlives the process. */
  readonly cache?: ModuleCache;
  /** Of headgate:// urls. */
  readonly registry?: FilterRegistry;
  /** host:port of image registries that are spoken to without TLS; those on loopback are in any case. */
  readonly plainRegistries?: readonly string[];
}

/** What is fetched, and the secret of its name, where it names one that there is. */
export interface Wanted {
  readonly wasm: WasmFilter;
  readonly secret?: Secret;
}

const MOST_BYTES = DEFAULT_LIMITS.moduleBytes;
const TIMEOUT_MILLIS = 60_000;

/** What was fetched before from the same place with the same credentials. */
export function findCached(wanted: Wanted, { cache }: ModuleWays): Promise<Uint8Array | undefined> {
  return cache?.find(cacheKey(wanted)) ?? Promise.resolve(undefined);
}

/** Keeps what was fetched, for later starts. Rejects when the disk fails. */
export async function keepCached(wanted: Wanted, module: Uint8Array, { cache }: ModuleWays): Promise<void> {
  await cache?.keep(cacheKey(wanted), module);
}

/** Fetches it and holds it against its checksum. */
export async function fetchModule(wanted: Wanted, ways: ModuleWays, signal: AbortSignal): Promise<Outcome<Uint8Array>> {
  const fetched = await fetchFrom(wanted, ways, signal);
  if ("fault" in fetched) return fetched;
  const { source, sha256 } = wanted.wasm;
  // An image's checksum is that of its manifest, which was looked at on the way.
  if (sha256 !== undefined && source.type !== "oci") {
    const actual = createHash("sha256").update(fetched.value).digest("hex");
    if (actual !== sha256) return missing(`the module has the SHA-256 ${actual}, where ${sha256} was asked for`);
  }
  return fetched;
}

async function fetchFrom(
  { wasm, secret }: Wanted,
  ways: ModuleWays,
  signal: AbortSignal,
): Promise<Outcome<Uint8Array>> {
  const { source } = wasm;
  switch (source.type) {
    case "file":
      return readModule(source.path);
    case "http":
      return download(source.url, signal);
    case "registry": {
      if (!ways.registry) return missing("this control plane has no filter registry: give it --filters or --kube");
      const found = await ways.registry.module(source.filter, source.version ?? "").catch((error: Error) => error);
      if (found instanceof Error) return missing(`the registry cannot be read: ${found.message}`);
      return "fault" in found ? missing(`${found.fault.message} in the registry`) : found;
    }
    case "oci": {
      const credentials = readCredentials(wasm, secret, source.registry);
      if ("fault" in credentials) return credentials;
      const plain = isPlain(source.registry, ways);
      const options = {
        reference: source,
        plain,
        mostBytes: MOST_BYTES,
        signal,
        ...(wasm.sha256 === undefined ? {} : { sha256: wasm.sha256 }),
        ...(credentials.value ? { credentials: credentials.value } : {}),
      };
      return pullModule(options);
    }
  }
}

/** Of a regular file alone: others might never end. */
async function readModule(path: string): Promise<Outcome<Uint8Array>> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { size } = await file.stat().then((stat) => (stat.isFile() ? stat : { size: -1 }));
      if (size < 0) return missing("on the control plane's machine that is no file");
      if (size > MOST_BYTES) return missing(`the file has more than ${MOST_BYTES} bytes`);
      return { value: await file.readFile() };
    } finally {
      await file.close();
    }
  } catch (error) {
    return missing(`the control plane cannot read the file: ${(error as NodeJS.ErrnoException).code}`);
  }
}

async function download(url: string, signal: AbortSignal): Promise<Outcome<Uint8Array>> {
  const answer = await httpGet({ url, mostBytes: MOST_BYTES, timeoutMillis: TIMEOUT_MILLIS, signal });
  if ("error" in answer) return missing(`the module cannot be fetched: ${answer.error}`);
  const { status, body } = answer.value;
  return status === 200 ? { value: body } : missing(`the module cannot be fetched: the server answers ${status}`);
}

function readCredentials({ pullSecret }: WasmFilter, secret: Secret | undefined, registry: string) {
  if (pullSecret === undefined) return { value: undefined };
  if (!secret) return missing(`there is no Secret ${pullSecret} in the extension's namespace`);
  const read = readPullSecret(secret, registry);
  return "error" in read ? missing(`Secret ${pullSecret} is of no use: ${read.error}`) : read;
}

function isPlain(registry: string, { plainRegistries = [] }: ModuleWays): boolean {
  return plainRegistries.includes(registry) || isLoopback(registry.replace(/:\d+$/, ""));
}

/** Names a place and how it was asked: who has no credentials gets nothing that others fetched with theirs. */
export function cacheKey({ wasm, secret }: Wanted): string {
  const credentials = [...(secret?.spec.data ?? [])].map(([name, value]) => [
    name,
    Buffer.from(value).toString("base64"),
  ]);
  return JSON.stringify([wasm.url, wasm.sha256 ?? "", wasm.pullSecret ?? "", wasm.pullSecret ? credentials : []]);
}
