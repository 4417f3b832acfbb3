// Host names, wildcards and addresses as Istio's objects write them.
import { isIP, isIPv4 } from "node:net";
import { isDnsLabel, quote } from "./names.js";
import type { Fault } from "./report.js";

const WILDCARD_LABEL = /^(?:\*|\*?-?[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)$/i;
const UNIX_PREFIX = "unix://";

/** A DNS name without wildcard, in any case; a short name is one, and so is one with a dot at its end. */
export function isFqdn(text: string): boolean {
  if (text.length === 0 || text.length > 255) return false;
  const labels = text.toLowerCase().split(".");
  if (labels.length > 1 && labels.at(-1) === "") labels.pop();
  return labels.every(isDnsLabel) && !/^\d+$/.test(labels.at(-1) ?? "");
}

/** A DNS name whose first label may be "*" or begin with it. */
export function isWildcardDomain(text: string): boolean {
  if (text.length === 0 || text.length > 255) return false;
  const dot = text.indexOf(".");
  const first = dot === -1 ? text : text.slice(0, dot);
  if (!first.startsWith("*")) return isFqdn(text);
  return first.length <= 63 && WILDCARD_LABEL.test(first) && (dot === -1 || isFqdn(text.slice(dot + 1)));
}

/** What is wrong with a name that must stand alone, without wildcard. */
export function checkFqdn(text: string): Fault | undefined {
  return isFqdn(text) ? undefined : invalid(`${quote(text)} is no host name.`);
}

/** What is wrong with a host that may be a short name, a full name or a wildcard. */
export function checkHost(text: string): Fault | undefined {
  return isWildcardDomain(text)
    ? undefined
    : invalid(`${quote(text)} is no host name; a wildcard may only be the first label, as in "*.example.com".`);
}

/** What is wrong with a host that may also be an IP address. */
export function checkHostOrAddress(text: string): Fault | undefined {
  return isIP(text) !== 0 ? undefined : checkHost(text);
}

/** What is wrong with a destination's host: a name, not the bare wildcard. */
export function checkDestinationHost(text: string): Fault | undefined {
  return text === "*" ? invalid('"*" names no single host to send traffic to.') : checkHost(text);
}

/** What is wrong with NAMESPACE/HOST, where the namespace may be "*", "." or "~" and left out where `optional`. */
export function checkNamespacedHost(text: string, namespaceOptional: boolean): Fault | undefined {
  const slash = text.indexOf("/");
  if (slash === -1) {
    return namespaceOptional
      ? checkHostOrAddress(text)
      : invalid(
          `${quote(text)} lacks a namespace; write NAMESPACE/HOST, "./HOST" for the own one or "*/HOST" for all.`,
        );
  }
  const namespace = text.slice(0, slash);
  if (namespace.startsWith("~") && namespace !== "~") {
    return {
      code: "unsupported-field",
      message: "Headgate cannot exclude hosts with ~NAMESPACE; name those to include.",
    };
  }
  if (namespace !== "*" && namespace !== "." && namespace !== "~" && !isDnsLabel(namespace)) {
    return invalid(
      `${quote(namespace)} is no namespace; use its name, "." for the own one, "*" for all or "~" for none.`,
    );
  }
  return checkHostOrAddress(text.slice(slash + 1));
}

/** What is wrong with a listener's address: an IP address or unix:///path. */
export function checkBind(text: string): Fault | undefined {
  return isIP(text) !== 0 || isUnixAddress(text)
    ? undefined
    : invalid(`${quote(text)} is no IP address, nor a socket's path as in "unix:///run/x.sock".`);
}

/** unix:///absolute/path, or unix://@name for an abstract socket. */
export function isUnixAddress(text: string): boolean {
  const path = text.startsWith(UNIX_PREFIX) ? text.slice(UNIX_PREFIX.length) : "";
  return path.startsWith("@") ? path.length > 1 : path.startsWith("/") && !path.endsWith("/");
}

/** What is wrong with where a Sidecar's ingress hands traffic on to: a loopback or wildcard address, or a socket. */
export function checkDefaultEndpoint(text: string): Fault | undefined {
  if (isUnixAddress(text)) return undefined;
  const port = /^(?:127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]|):(\d{1,5})$/.exec(text)?.[1];
  if (port === undefined) {
    return invalid(
      `${quote(text)} is no endpoint of the workload; write 127.0.0.1:PORT, 0.0.0.0:PORT or unix:///path.`,
    );
  }
  if (Number(port) >= 1 && Number(port) <= 65_535) return undefined;
  return { code: "invalid-port", message: `${port} is no port; ports are 1 to 65535.` };
}

/** What is wrong with region, region/zone or region/zone/subzone. */
export function checkLocality(text: string): Fault | undefined {
  const parts = text.split("/");
  if (parts.length <= 3 && parts.every((part) => part !== "")) return undefined;
  return {
    code: "invalid-value",
    message: `${quote(text)} is no locality; write region, region/zone or region/zone/subzone.`,
  };
}

/** What is wrong with an IP address or CIDR block. */
export function checkSubnet(text: string): Fault | undefined {
  const [address = "", bits, ...rest] = text.split("/");
  const valid =
    isIP(address) !== 0 &&
    rest.length === 0 &&
    (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (isIPv4(address) ? 32 : 128)));
  return valid ? undefined : invalid(`${quote(text)} is no IP address, nor a block as in "10.0.0.0/8".`);
}

/** Comparing a wildcard with more hosts than this would take too long. */
const MOST_COMPARED = 500;

/** Hosts by which others are covered: the same name, or a wildcard that takes it in. Names compare without case. */
export class HostList {
  /** Lower-case host -> the index it was added with. */
  private readonly indexes = new Map<string, number>();

  constructor(hosts: readonly string[] = []) {
    for (const [index, host] of hosts.entries()) this.add(host, index);
  }

  add(host: string, index: number): void {
    this.indexes.set(host.toLowerCase(), index);
  }

  /** The index of a host that stands for all that this one stands for. */
  covering(host: string): number | undefined {
    const name = host.toLowerCase();
    let found = this.indexes.get(name);
    for (let cut = 0; found === undefined && cut <= name.length; cut++) found = this.indexes.get(`*${name.slice(cut)}`);
    return found;
  }

  /** The index of a host that stands for some of what this one stands for; of long lists only the first are compared. */
  overlapping(host: string): number | undefined {
    const covering = this.covering(host);
    if (covering !== undefined || !host.startsWith("*")) return covering;
    const suffix = host.toLowerCase().slice(1);
    let compared = 0;
    for (const [other, index] of this.indexes) {
      if (other.endsWith(suffix)) return index;
      if (++compared >= MOST_COMPARED) return undefined;
    }
    return undefined;
  }
}

function invalid(message: string): Fault {
  return { code: "invalid-host", message };
}
