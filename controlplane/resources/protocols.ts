// The protocols of ports and the cipher suites of TLS, as Istio's objects name them.
import { quote } from "./names.js";
import type { Fault } from "./report.js";

const SERVER_PROTOCOLS = ["HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "TCP", "TLS", "MONGO"];
/** MYSQL and REDIS are read as TCP. */
const PORT_PROTOCOLS = [...SERVER_PROTOCOLS, "MYSQL", "REDIS", "UDP"];

/** Those that Envoy's TLS library has. */
const CIPHER_SUITES = [
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES256-SHA",
  "ECDHE-RSA-AES256-SHA",
  "ECDHE-ECDSA-AES128-SHA",
  "ECDHE-RSA-AES128-SHA",
  "AES256-GCM-SHA384",
  "AES128-GCM-SHA256",
  "AES256-SHA",
  "AES128-SHA",
];

/** What is wrong with the protocol of a Gateway's server; case does not matter. */
export function checkServerProtocol(protocol: string): Fault | undefined {
  return oneOf(SERVER_PROTOCOLS, protocol, "protocol that a gateway can serve");
}

/** What is wrong with the protocol of a ServiceEntry's or Sidecar's port; case does not matter. */
export function checkPortProtocol(protocol: string): Fault | undefined {
  return oneOf(PORT_PROTOCOLS, protocol, "protocol");
}

/** What is wrong with the name of a cipher suite. */
export function checkCipherSuite(suite: string): Fault | undefined {
  return oneOf(CIPHER_SUITES, suite, "cipher suite");
}

function oneOf(known: readonly string[], word: string, what: string): Fault | undefined {
  if (known.includes(word.toUpperCase())) return undefined;
  return { code: "invalid-value", message: `${quote(word)} is no ${what}; known are ${known.join(", ")}.` };
}
