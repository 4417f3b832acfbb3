// Reads what people write after a flag: addresses, durations, numbers and key=value lists. Faults come back as text.
import type { HostPort } from "../agent/bootstrap.js";

export type Read<T> = { readonly value: T } | { readonly error: string };

/** HOST:PORT, [IPv6]:PORT, or :PORT for a port of 127.0.0.1; port 0 is allowed. */
export function readHostPort(flag: string, text: string): Read<HostPort> {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(found?.[3]);
  if (!found || port > 65_535) return { error: `${flag} is "${text}": write HOST:PORT, as in 127.0.0.1:15010` };
  return { value: { host: found[1] || found[2] || "127.0.0.1", port } };
}

/** "500ms", "10s" or "2m", in milliseconds; a bare number is seconds. */
export function readDuration(flag: string, text: string): Read<number> {
  const found = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text);
  const unit = { ms: 1, s: 1000, m: 60_000 }[found?.[2] ?? "s"] ?? 1000;
  if (!found) return { error: `${flag} is "${text}": write a duration, as in 500ms, 10s or 2m` };
  return { value: Math.round(Number(found[1]) * unit) };
}

/** A whole number of at least the given one. */
export function readCount(flag: string, text: string, least: number): Read<number> {
  if (!/^\d+$/.test(text) || Number(text) < least)
    return { error: `${flag} is "${text}": write a whole number of at least ${least}` };
  return { value: Number(text) };
}

const SIZE_UNITS = { "": 1, k: 1e3, M: 1e6, G: 1e9, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 } as const;

/** "512Mi", "1G" or a number of bytes, as Kubernetes writes sizes; in bytes, at least the given number. */
export function readSize(flag: string, text: string, least: number): Read<number> {
  const found = /^(\d+)(|k|M|G|Ki|Mi|Gi)$/.exec(text);
  const bytes = Number(found?.[1]) * SIZE_UNITS[(found?.[2] ?? "") as keyof typeof SIZE_UNITS];
  if (found && Number.isSafeInteger(bytes) && bytes >= least) return { value: bytes };
  return { error: `${flag} is "${text}": write a size, as in 512Mi, of at least ${least} bytes` };
}

/** "app=reviews,version=v1"; empty text is an empty list. */
export function readPairs(flag: string, text: string): Read<Readonly<Record<string, string>>> {
  const pairs: Record<string, string> = {};
  for (const pair of text.split(",").filter(Boolean)) {
    const [key, ...rest] = pair.split("=");
    if (!key || rest.length === 0) return { error: `${flag} has "${pair}": write key=value,key=value` };
    pairs[key] = rest.join("=");
  }
  return { value: pairs };
}

const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Also whether it names a Service. */
export function isNamespace(text: string): boolean {
  return NAMESPACE.test(text);
}

/** "a,b", each once. */
export function readNamespaces(flag: string, text: string): Read<readonly string[]> {
  const names = [...new Set(text.split(",").map((name) => name.trim()))];
  const wrong = names.find((name) => !isNamespace(name));
  if (wrong !== undefined) return { error: `${flag} has "${wrong}", which is no namespace: write a,b` };
  return { value: names };
}
