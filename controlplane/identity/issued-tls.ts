// The control plane's certificate where it has an authority of its own: issued in memory, and renewed long before its end.
import { X509Certificate } from "node:crypto";
import type { Authority } from "../certificates/authority.js";
import type { TlsMaterial } from "./tls-files.js";

export interface IssuedTls {
  readonly current: TlsMaterial;
  /** Calls back with each certificate that comes in place of the current one. */
  onRenewed(listener: (tls: TlsMaterial) => void): void;
  close(): void;
}

export interface IssuedTlsOptions {
  /** DNS names and addresses under which proxies reach the control plane. */
  readonly names: readonly [string, ...string[]];
  /** 90 by default. */
  readonly days?: number;
  /** Milliseconds between looks at how much is left; an hour by default. */
  readonly lookMs?: number;
  /** A certificate that cannot be renewed; the one before goes on. */
  readonly onFault?: (error: Error) => void;
}

/** Renewed when fewer milliseconds than this are left. */
const RENEWAL_MS = 30 * 86_400_000;

export async function issueTls(authority: Authority, options: IssuedTlsOptions): Promise<IssuedTls> {
  const { names, days = 90, lookMs = 3_600_000, onFault = () => {} } = options;
  let listener: (tls: TlsMaterial) => void = () => {};
  let current = await issue();

  async function issue(): Promise<TlsMaterial> {
    const { certificate, privateKey } = await authority.issue(names, { days });
    const expiresAt = Date.parse(new X509Certificate(certificate).validTo);
    return Object.freeze({ certificate: Buffer.from(certificate), key: Buffer.from(privateKey), expiresAt });
  }

  async function look(): Promise<void> {
    if (current.expiresAt - Date.now() > RENEWAL_MS) return;
    current = await issue();
    listener(current);
  }

  const timer = setInterval(() => void look().catch(onFault), lookMs).unref();
  return {
    get current() {
      return current;
    },
    onRenewed(next) {
      listener = next;
    },
    close: () => clearInterval(timer),
  };
}
