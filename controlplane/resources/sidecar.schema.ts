// The schema of a Sidecar's spec: every field of Istio's API, with what Headgate does with it.
import { connectionPoolSchema } from "./destination-rule.schema.js";
import { serverTlsSchema } from "./gateway.schema.js";
import { integer, labels, list, type Raw, refused, struct, text, word, works } from "./schema.js";

const port = struct({
  number: works("expected", integer(0, 65_535)),
  protocol: works("expected", text("portProtocol")),
  name: works("expected", text("dnsLabel")),
  targetPort: refused("rare"),
});
export type RawSidecarPort = Raw<typeof port>;

const captureMode = word("DEFAULT", "IPTABLES", "NONE");

const egressListener = struct(
  {
    port: works("expected", port),
    bind: works("expected", text("bind")),
    captureMode: works("expected", captureMode),
    hosts: works("core", list(text("namespacedHost"), 1)),
  },
  ["hosts"],
);
export type RawEgressListener = Raw<typeof egressListener>;

const ingressListener = struct(
  {
    port: works("expected", port),
    bind: works("expected", text("bind")),
    captureMode: works("expected", captureMode),
    defaultEndpoint: works("expected", text("defaultEndpoint")),
    tls: works("expected", serverTlsSchema),
    connectionPool: works("expected", connectionPoolSchema),
  },
  ["port"],
);
export type RawIngressListener = Raw<typeof ingressListener>;

export const sidecarSchema = struct({
  workloadSelector: works("core", struct({ labels: works("core", labels()) })),
  ingress: works("expected", list(ingressListener)),
  egress: works("core", list(egressListener)),
  inboundConnectionPool: works("expected", connectionPoolSchema),
  outboundTrafficPolicy: works(
    "core",
    struct({ mode: works("core", word("REGISTRY_ONLY", "ALLOW_ANY")), egressProxy: refused("rare") }),
  ),
});
export type RawSidecar = Raw<typeof sidecarSchema>;
