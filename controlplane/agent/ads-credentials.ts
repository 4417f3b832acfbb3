// How a proxy and its control plane prove to each other who they are, as part of the proxy's bootstrap.
import { isIP } from "node:net";
import { dirname } from "node:path";

/** Absolute paths; all but the token are PEM. Files are followed: replace them by renaming new ones over them. */
export interface AdsCredentials {
  /** The authority of the control plane's certificate. Without it ADS is plaintext. */
  readonly ca?: string;
  /** The name that the control plane's certificate must have; by default the host that is called. */
  readonly serverName?: string;
  /** The proxy's own certificate and its key. */
  readonly certificate?: { readonly chain: string; readonly key: string };
  /** A file with the bearer token that the proxy shows. */
  readonly token?: string;
}

/** What is filled in of a bootstrap. */
export interface Securable {
  static_resources: {
    clusters: [
      {
        transport_socket?: unknown;
        typed_extension_protocol_options: Record<string, { http_filters?: unknown[] }>;
      },
    ];
    secrets?: unknown[];
  };
}

const HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const TYPES = "type.googleapis.com/envoy.extensions";
const CA = { name: "headgate-ads-ca" };
const CERTIFICATE = { name: "headgate-ads-certificate" };
const TOKEN = { name: "headgate-ads-token" };

/**
 * Makes the ADS cluster, which is the first, use the credentials. They are static secrets, which Envoy reads once; see
 * followSecrets.
 */
export function secureAds(bootstrap: Securable, host: string, credentials: AdsCredentials): void {
  const [ads] = bootstrap.static_resources.clusters;
  const secrets: unknown[] = [];
  if (credentials.ca !== undefined) {
    ads.transport_socket = transportSocket(credentials.serverName ?? host, credentials.certificate !== undefined);
    secrets.push({ ...CA, validation_context: { trusted_ca: file(credentials.ca), ...watch(credentials.ca) } });
  }
  if (credentials.certificate !== undefined) {
    const { chain, key } = credentials.certificate;
    const pair = { certificate_chain: file(chain), private_key: file(key), ...watch(chain) };
    secrets.push({ ...CERTIFICATE, tls_certificate: pair });
  }
  if (credentials.token !== undefined) {
    const options = ads.typed_extension_protocol_options[HTTP_OPTIONS];
    if (!options) throw new Error("the bootstrap's ADS cluster has no HTTP options");
    options.http_filters = tokenFilters();
    secrets.push({ ...TOKEN, generic_secret: { secret: file(credentials.token) } });
  }
  if (secrets.length > 0) bootstrap.static_resources.secrets = secrets;
}

function transportSocket(serverName: string, showsCertificate: boolean) {
  const isAddress = isIP(serverName) !== 0;
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": `${TYPES}.transport_sockets.tls.v3.UpstreamTlsContext`,
      ...(isAddress ? {} : { sni: serverName }),
      common_tls_context: {
        alpn_protocols: ["h2"],
        tls_params: { tls_minimum_protocol_version: "TLSv1_2" },
        ...(showsCertificate ? { tls_certificate_sds_secret_configs: [CERTIFICATE] } : {}),
        combined_validation_context: {
          default_validation_context: {
            match_typed_subject_alt_names: [
              { san_type: isAddress ? "IP_ADDRESS" : "DNS", matcher: { exact: serverName } },
            ],
          },
          validation_context_sds_secret_config: CA,
        },
      },
    },
  };
}

/** The token goes along with each request to the control plane, and stands in no configuration that Envoy would show. */
function tokenFilters() {
  const credential = {
    name: "envoy.http.injected_credentials.generic",
    typed_config: {
      "@type": `${TYPES}.http.injected_credentials.generic.v3.Generic`,
      credential: TOKEN,
      header: "authorization",
      header_value_prefix: "Bearer ",
    },
  };
  return [
    {
      name: "envoy.filters.http.credential_injector",
      typed_config: {
        "@type": `${TYPES}.filters.http.credential_injector.v3.CredentialInjector`,
        overwrite: true,
        credential,
      },
    },
    {
      name: "envoy.filters.http.upstream_codec",
      typed_config: { "@type": `${TYPES}.filters.http.upstream_codec.v3.UpstreamCodec` },
    },
  ];
}

function file(filename: string) {
  return { filename };
}

function watch(path: string) {
  return { watched_directory: { path: dirname(path) } };
}
