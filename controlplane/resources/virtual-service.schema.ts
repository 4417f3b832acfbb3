// The schema of a VirtualService's spec: every field of Istio's API, with what Headgate does with it.
import {
  deprecated,
  flag,
  integer,
  labels,
  list,
  map,
  number,
  type Raw,
  refused,
  struct,
  text,
  wholeNumber,
  word,
  works,
} from "./schema.js";

const stringMatch = struct({
  exact: works("core", text()),
  prefix: works("core", text()),
  regex: works("core", text("regex")),
});
export type RawStringMatch = Raw<typeof stringMatch>;

/** withoutHeaders takes the regex "*", which is none, for "is there". */
const absenceMatch = struct({
  exact: works("core", text()),
  prefix: works("core", text()),
  regex: works("core", text("regexOrStar")),
});

const percent = struct({ value: works("core", number("percentage")) });

const destination = struct(
  {
    host: works("core", text("destinationHost")),
    subset: works("core", text("dnsLabel")),
    port: works("core", struct({ number: works("core", wholeNumber("port")) }, ["number"])),
  },
  ["host"],
);
export type RawDestination = Raw<typeof destination>;

const headers = struct({
  request: works(
    "core",
    struct({
      set: works("core", map(text("headerValue"), "headerToRequest")),
      add: works("core", map(text("headerValue"), "headerToRequest")),
      remove: works("core", list(text("headerToRemoveOrRespond"))),
    }),
  ),
  response: works(
    "core",
    struct({
      set: works("core", map(text("headerValue"), "headerToRemoveOrRespond")),
      add: works("core", map(text("headerValue"), "headerToRemoveOrRespond")),
      remove: works("core", list(text("headerToRemoveOrRespond"))),
    }),
  ),
});
export type RawHeaders = Raw<typeof headers>;

const httpMatch = struct({
  name: works("expected", text()),
  uri: works("core", stringMatch),
  ignoreUriCase: works("core", flag()),
  scheme: works("expected", stringMatch),
  method: works("core", stringMatch),
  authority: works("core", stringMatch),
  headers: works("core", map(stringMatch, "headerToMatch")),
  withoutHeaders: works("expected", map(absenceMatch, "headerToMatch")),
  queryParams: works("core", map(stringMatch)),
  port: works("core", wholeNumber("port")),
  sourceLabels: works("core", labels()),
  sourceNamespace: works("expected", text("dnsLabel")),
  gateways: works("core", list(text("gatewayReference"))),
  statPrefix: works("expected", text()),
});
export type RawHttpMatch = Raw<typeof httpMatch>;

const httpRedirect = struct({
  uri: works("core", text()),
  authority: works("core", text("notEmpty")),
  port: works("expected", wholeNumber("port")),
  derivePort: works("expected", word("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT")),
  scheme: works("expected", word("http", "https")),
  redirectCode: works("core", integer()),
  prefixRewrite: refused("rare"),
});
export type RawHttpRedirect = Raw<typeof httpRedirect>;

const httpDirectResponse = struct(
  {
    status: works("expected", integer(200, 599)),
    body: works("expected", struct({ string: works("expected", text()), bytes: works("expected", text()) })),
  },
  ["status"],
);
export type RawHttpDirectResponse = Raw<typeof httpDirectResponse>;

const httpRewrite = struct({
  uri: works("core", text()),
  authority: works("core", text("notEmpty")),
  uriRegexRewrite: works(
    "expected",
    struct({ match: works("expected", text("regex")), rewrite: works("expected", text()) }, ["match", "rewrite"]),
  ),
});
export type RawHttpRewrite = Raw<typeof httpRewrite>;

const httpRetry = struct(
  {
    attempts: works("core", integer()),
    perTryTimeout: works("core", text("duration")),
    retryOn: works("core", text("retryOn")),
    retryRemoteLocalities: works("expected", flag()),
    retryIgnorePreviousHosts: works("expected", flag()),
    backoff: works("expected", text("duration")),
  },
  ["attempts"],
);
export type RawHttpRetry = Raw<typeof httpRetry>;

const httpFault = struct({
  delay: works(
    "core",
    struct({
      fixedDelay: works("core", text("duration")),
      percentage: works("core", percent),
      percent: deprecated(number("percentage"), "percentage.value"),
      exponentialDelay: refused("rare"),
    }),
  ),
  abort: works(
    "core",
    struct({
      httpStatus: works("core", integer(200, 599)),
      grpcStatus: works("expected", text()),
      percentage: works("core", percent),
      http2Error: refused("rare"),
    }),
  ),
});
export type RawHttpFault = Raw<typeof httpFault>;

const httpMirror = struct({ destination: works("expected", destination), percentage: works("expected", percent) }, [
  "destination",
]);

const corsPolicy = struct({
  allowOrigins: works("expected", list(stringMatch)),
  allowOrigin: deprecated(list(text("notEmpty")), "allowOrigins"),
  allowMethods: works("expected", list(text("method"))),
  allowHeaders: works("expected", list(text("headerName"))),
  exposeHeaders: works("expected", list(text("headerName"))),
  maxAge: works("expected", text("wholeSeconds")),
  allowCredentials: works("expected", flag()),
  unmatchedPreflights: works("rare", word("UNSPECIFIED", "FORWARD", "IGNORE")),
});
export type RawCorsPolicy = Raw<typeof corsPolicy>;

const httpRoute = struct({
  name: works("core", text()),
  match: works("core", list(httpMatch)),
  route: works(
    "core",
    list(
      struct(
        {
          destination: works("core", destination),
          weight: works("core", wholeNumber("weight")),
          headers: works("core", headers),
        },
        ["destination"],
      ),
    ),
  ),
  redirect: works("core", httpRedirect),
  directResponse: works("expected", httpDirectResponse),
  delegate: works(
    "expected",
    struct({ name: works("expected", text("objectName")), namespace: works("expected", text("dnsLabel")) }, ["name"]),
  ),
  rewrite: works("core", httpRewrite),
  timeout: works("core", text("duration")),
  retries: works("core", httpRetry),
  fault: works("core", httpFault),
  mirror: works("core", destination),
  mirrorPercentage: works("expected", percent),
  mirrorPercent: deprecated(wholeNumber("percentage"), "mirrorPercentage.value"),
  mirrors: works("expected", list(httpMirror)),
  corsPolicy: works("expected", corsPolicy),
  headers: works("core", headers),
});
export type RawHttpRoute = Raw<typeof httpRoute>;

const l4Routes = list(
  struct({ destination: works("expected", destination), weight: works("expected", wholeNumber("weight")) }, [
    "destination",
  ]),
  1,
);
export type RawL4Routes = Raw<typeof l4Routes>;

const l4Conditions = {
  destinationSubnets: works("expected", list(text("subnet"))),
  port: works("expected", wholeNumber("port")),
  sourceLabels: works("expected", labels()),
  sourceNamespace: works("expected", text("dnsLabel")),
  gateways: works("expected", list(text("gatewayReference"))),
  sourceSubnet: refused("rare"),
};
const tcpMatch = struct(l4Conditions);
const tlsMatch = struct({ ...l4Conditions, sniHosts: works("expected", list(text("hostOrAddress"), 1)) }, ["sniHosts"]);
export type RawTcpMatch = Raw<typeof tcpMatch>;
export type RawTlsMatch = Raw<typeof tlsMatch>;

const tlsRoute = struct({ match: works("expected", list(tlsMatch, 1)), route: works("expected", l4Routes) }, [
  "match",
  "route",
]);
const tcpRoute = struct({ match: works("expected", list(tcpMatch)), route: works("expected", l4Routes) }, ["route"]);
export type RawTlsRoute = Raw<typeof tlsRoute>;
export type RawTcpRoute = Raw<typeof tcpRoute>;

export const virtualServiceSchema = struct({
  hosts: works("core", list(text("hostOrAddress"))),
  gateways: works("core", list(text("gatewayReference"))),
  http: works("core", list(httpRoute)),
  tls: works("expected", list(tlsRoute)),
  tcp: works("expected", list(tcpRoute)),
  exportTo: works("expected", list(text("exportTo"))),
});
export type RawVirtualService = Raw<typeof virtualServiceSchema>;
