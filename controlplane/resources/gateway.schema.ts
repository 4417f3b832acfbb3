// The schema of a Gateway's spec: every field of Istio's API, with what Headgate does with it.
import { flag, labels, list, type Raw, refused, struct, text, wholeNumber, word, works } from "./schema.js";

const PROTOCOL_VERSIONS = ["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"] as const;

export const serverTlsSchema = struct({
  httpsRedirect: works("core", flag()),
  mode: works("core", word("PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL")),
  credentialName: works("core", text("objectName")),
  serverCertificate: works("core", text()),
  privateKey: works("core", text()),
  caCertificates: works("core", text()),
  subjectAltNames: works("expected", list(text("notEmpty"))),
  minProtocolVersion: works("expected", word(...PROTOCOL_VERSIONS)),
  maxProtocolVersion: works("expected", word(...PROTOCOL_VERSIONS)),
  cipherSuites: works("expected", list(text("cipherSuite"))),
  credentialNames: refused("rare"),
  tlsCertificates: refused("rare"),
  caCertCredentialName: refused("rare"),
  caCrl: refused("rare"),
  verifyCertificateSpki: refused("rare"),
  verifyCertificateHash: refused("rare"),
});
export type RawServerTls = Raw<typeof serverTlsSchema>;

const server = struct(
  {
    name: works("expected", text()),
    port: works(
      "core",
      struct(
        {
          number: works("core", wholeNumber("port")),
          protocol: works("core", text("serverProtocol")),
          name: works("core", text("notEmpty")),
          targetPort: refused("rare"),
        },
        ["number", "protocol", "name"],
      ),
    ),
    bind: works("expected", text("bind")),
    hosts: works("core", list(text("namespacedHostOrHost"), 1)),
    tls: works("core", serverTlsSchema),
    defaultEndpoint: refused("rare"),
  },
  ["port", "hosts"],
);
export type RawServer = Raw<typeof server>;

export const gatewaySchema = struct({ selector: works("core", labels()), servers: works("core", list(server, 1)) }, [
  "servers",
]);
export type RawGateway = Raw<typeof gatewaySchema>;
