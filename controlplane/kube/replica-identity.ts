// What one control plane is called among its replicas.
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";

const MOST_HOSTNAME = 63;

/** A pod's name is its host's; what comes after tells processes, and one start from the next. It can be a part of names. */
export function replicaIdentity(): string {
  const host = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, MOST_HOSTNAME)
    .replace(/^-+|-+$/g, "");
  return `${host || "host"}-${process.pid}-${randomBytes(3).toString("hex")}`;
}
