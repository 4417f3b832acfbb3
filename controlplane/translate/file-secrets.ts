// Certificates in files on the proxy's machine -> secrets that name these files. Only what comes as a secret does Envoy
// read again when its files are replaced; what stands in a TLS context it reads once.
import { posix } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type DataSource, DataSourceSchema } from "../gen/envoy/config/core/v3/base_pb.js";
import { type Secret, SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import type { CertificateFiles } from "../proxy/proxy.js";
import type { ClientTlsSettings } from "../resources/destination-rule.js";
import type { ServerTlsSettings } from "../resources/gateway.js";
import { type EnvoyResource, encodeResource } from "./resource.js";

/** Where Debian, Alpine and their kin keep the certificate authorities that everyone trusts. */
const SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt";

/** The files that one TLS context reads. Paths on the proxy's machine, PEM. */
export interface TlsFiles {
  /** Proxies of one view share the secrets of clients, and have those of servers to themselves: their names differ. */
  readonly side: "client" | "server";
  readonly certificate?: { readonly chain: string; readonly key: string };
  /** What the other side's certificate must come from. */
  readonly authority?: { readonly root: string; readonly revocations?: string };
}

/** `own` are the workload's files, which ISTIO_MUTUAL uses. */
export function serverFiles(tls: ServerTlsSettings, own: CertificateFiles): TlsFiles {
  const side = "server";
  if (tls.mode === "ISTIO_MUTUAL") return { side, certificate: own, authority: own };
  if (tls.credentialName) return { side };
  const { serverCertificate: chain, privateKey: key, caCertificates: root } = tls;
  const verifies = tls.mode === "MUTUAL" || tls.mode === "OPTIONAL_MUTUAL";
  return {
    side,
    ...(chain && key ? { certificate: { chain, key } } : {}),
    ...(verifies && root ? { authority: { root } } : {}),
  };
}

/** `own` are the workload's files, which ISTIO_MUTUAL uses. Others verify by the system's authorities by default. */
export function clientFiles(tls: ClientTlsSettings, own: CertificateFiles): TlsFiles {
  const side = "client";
  if (tls.mode === "DISABLE") return { side };
  if (tls.mode === "ISTIO_MUTUAL") return { side, certificate: own, authority: own };
  const { clientCertificate: chain, privateKey: key, caCrl: revocations } = tls;
  const authority = { root: tls.caCertificates ?? SYSTEM_ROOTS, ...(revocations ? { revocations } : {}) };
  return {
    side,
    ...(chain && key ? { certificate: { chain, key } } : {}),
    ...(tls.insecureSkipVerify || tls.credentialName ? {} : { authority }),
  };
}

/** Named by the paths, so that equal files are one secret. */
export function certificateName({ side, certificate }: TlsFiles): string | undefined {
  return certificate && `file-cert:${side}:${certificate.chain}~${certificate.key}`;
}

export function authorityName({ side, authority }: TlsFiles): string | undefined {
  if (!authority) return undefined;
  return `file-root:${side}:${authority.root}${authority.revocations ? `~${authority.revocations}` : ""}`;
}

/** The secrets of all of these, each once. */
export function fileSecrets(all: Iterable<TlsFiles>): EnvoyResource[] {
  const byName = new Map<string, EnvoyResource>();
  const add = (name: string | undefined, type: () => Secret["type"]) => {
    if (name === undefined || byName.has(name)) return;
    byName.set(name, encodeResource(SecretSchema, name, create(SecretSchema, { name, type: type() })));
  };
  for (const files of all) {
    add(certificateName(files), () => certificateOf(files));
    add(authorityName(files), () => authorityOf(files));
  }
  return [...byName.keys()].sort().map((name) => byName.get(name) as EnvoyResource);
}

function certificateOf({ certificate }: TlsFiles): Secret["type"] {
  const { chain = "", key = "" } = certificate ?? {};
  const value = { certificateChain: file(chain), privateKey: file(key), ...watch(chain, key) };
  return create(SecretSchema, { type: { case: "tlsCertificate", value } }).type;
}

function authorityOf({ authority }: TlsFiles): Secret["type"] {
  const { root = "", revocations } = authority ?? {};
  const value = {
    trustedCa: file(root),
    ...(revocations ? { crl: file(revocations) } : {}),
    ...watch(root, revocations ?? root),
  };
  return create(SecretSchema, { type: { case: "validationContext", value } }).type;
}

/**
 * Watches the directory, so that a symbolic link in it that is swapped counts too, as where Kubernetes mounts a Secret.
 * Files of two directories are watched by themselves, which is what Envoy does if told nothing.
 */
function watch(one: string, other: string): { watchedDirectory?: { path: string } } {
  const path = posix.dirname(one);
  return path === posix.dirname(other) ? { watchedDirectory: { path } } : {};
}

function file(filename: string): DataSource {
  return create(DataSourceSchema, { specifier: { case: "filename", value: filename } });
}
