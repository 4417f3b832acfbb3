// What can be said of a proxy: what it wants, was sent, acknowledged and rejected, while connected and for a time after.
import type { Rejection } from "./answers.js";
import type { TypeUrl } from "./snapshot.js";

export interface TypeStatus {
  readonly typeUrl: TypeUrl;
  readonly wildcard: boolean;
  /** The names that were subscribed one by one. */
  readonly names: readonly string[];
  /** How many resources the client was sent and is taken to hold. */
  readonly resources: number;
  /** What the proxy should have by now: the version of the newest snapshot's resources of this type. */
  readonly targetVersion: string;
  /** Of the last response; empty before the first. */
  readonly sentVersion: string;
  readonly acknowledgedVersion: string;
  readonly nonce: string;
  /**
   * rejected: it has an error. synced: all of the newest snapshot is acknowledged, though what nothing refers to any
   * more may still wait for its removal. stale: something is to be sent or answered yet.
   */
  readonly state: "synced" | "stale" | "rejected";
  readonly error?: Rejection;
  /** Rejections on this stream so far. */
  readonly rejections: number;
}

export interface ProxyStatus {
  readonly key: string;
  readonly nodeId: string;
  readonly peer: string;
  readonly protocol: "delta" | "sotw";
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
  /** Absent while connected. */
  readonly disconnectedAt?: number;
  readonly types: readonly TypeStatus[];
}

export interface Retention {
  /** So many disconnected proxies at most, the longest gone dropped first. */
  readonly entries: number;
  readonly millis: number;
}

/** The last status of proxies that went. */
export class Departed {
  readonly #byKey = new Map<string, ProxyStatus>();

  constructor(readonly retention: Retention) {}

  add(status: ProxyStatus): void {
    this.#byKey.delete(status.key);
    this.#byKey.set(status.key, status);
    for (const key of this.#byKey.keys()) {
      if (this.#byKey.size <= this.retention.entries) break;
      this.#byKey.delete(key);
    }
  }

  /** The proxy is back. */
  remove(key: string): void {
    this.#byKey.delete(key);
  }

  list(now: number): ProxyStatus[] {
    for (const [key, status] of this.#byKey) {
      if ((status.disconnectedAt ?? now) + this.retention.millis < now) this.#byKey.delete(key);
    }
    return [...this.#byKey.values()];
  }
}
