// Gateway (networking.istio.io): what a gateway proxy listens on, and with which certificates.
import type { Resource } from "./resource.js";

export type ServerProtocol = "HTTP" | "HTTPS" | "HTTP2" | "GRPC" | "GRPC-WEB" | "TCP" | "TLS" | "MONGO";

export type ServerTlsMode =
  | "PASSTHROUGH"
  | "SIMPLE"
  | "MUTUAL"
  | "AUTO_PASSTHROUGH"
  | "ISTIO_MUTUAL"
  | "OPTIONAL_MUTUAL";

export interface ServerTlsSettings {
  readonly httpsRedirect: boolean;
  /** Undefined only where httpsRedirect is all that is set. */
  readonly mode?: ServerTlsMode;
  readonly credentialName?: string;
  readonly serverCertificate?: string;
  readonly privateKey?: string;
  readonly caCertificates?: string;
  readonly subjectAltNames: readonly string[];
  readonly minProtocolVersion?: "TLSV1_0" | "TLSV1_1" | "TLSV1_2" | "TLSV1_3";
  readonly maxProtocolVersion?: "TLSV1_0" | "TLSV1_1" | "TLSV1_2" | "TLSV1_3";
  readonly cipherSuites: readonly string[];
}

export interface Server {
  readonly name?: string;
  readonly port: { readonly number: number; readonly protocol: ServerProtocol; readonly name: string };
  readonly bind?: string;
  /** "namespace/host" or "host", as written. */
  readonly hosts: readonly string[];
  readonly tls?: ServerTlsSettings;
}

export interface GatewaySpec {
  readonly selector: Readonly<Record<string, string>>;
  readonly servers: readonly Server[];
}

export type Gateway = Resource<"Gateway", GatewaySpec>;
