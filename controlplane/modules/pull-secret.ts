// The credentials for a registry that a Secret of the type kubernetes.io/dockerconfigjson holds.
import type { Secret } from "../resources/kubernetes.js";

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

interface Entry {
  readonly auth?: unknown;
  readonly username?: unknown;
  readonly password?: unknown;
}

const KEY = ".dockerconfigjson";

/** Undefined where the secret holds none for the registry; the error says why it can hold none at all. */
export function readPullSecret(
  secret: Secret,
  registry: string,
): { readonly value: Credentials | undefined } | { readonly error: string } {
  const bytes = secret.spec.data.get(KEY);
  if (!bytes) return { error: `it has no ${KEY}` };
  let auths: unknown;
  try {
    auths = (JSON.parse(Buffer.from(bytes).toString("utf8")) as { auths?: unknown }).auths;
  } catch {
    return { error: `its ${KEY} is no JSON` };
  }
  if (typeof auths !== "object" || auths === null) return { error: `its ${KEY} has no auths` };
  const entry = Object.entries(auths as Record<string, Entry>).find(([name]) => hostOf(name) === registry)?.[1];
  return { value: entry && credentialsOf(entry) };
}

/** Entries are named by host, or by an address of the registry's API. */
function hostOf(name: string): string {
  const host = name.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return host === "docker.io" || host === "index.docker.io" ? "registry-1.docker.io" : host;
}

function credentialsOf({ auth, username, password }: Entry): Credentials | undefined {
  if (typeof username === "string" && typeof password === "string") return { username, password };
  if (typeof auth !== "string") return undefined;
  const decoded = Buffer.from(auth, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  return colon < 0 ? undefined : { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}
