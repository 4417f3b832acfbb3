// Decodes a Gateway and checks each server's protocol against its TLS settings.
import { labelsOf, listOf, maybe, nonEmpty, present, reportRepeats } from "./fields.js";
import type { GatewaySpec, Server, ServerProtocol } from "./gateway.js";
import type { RawGateway, RawServer } from "./gateway.schema.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";
import { decodeServerTls } from "./server-tls.decode.js";

const TLS_PROTOCOLS = new Set(["HTTPS", "TLS"]);
const HTTP_PROTOCOLS = new Set(["HTTP", "HTTP2", "GRPC", "GRPC-WEB"]);

export function decodeGateway(raw: RawGateway, report: Report): GatewaySpec {
  const servers = raw.servers ?? [];
  reportRepeats(
    servers,
    (server) => server.port?.name ?? undefined,
    (index, first) => {
      const path = ["spec", "servers", index, "port", "name"];
      report.error("invalid-name", path, `servers[${first}] has a port of the same name.`);
    },
  );
  return {
    selector: labelsOf(raw.selector),
    servers: servers.map((server, index) => decodeServer(server, ["spec", "servers", index], report)),
  };
}

function decodeServer(raw: RawServer, path: FieldPath, report: Report): Server {
  const protocol = (raw.port?.protocol ?? "").toUpperCase() as ServerProtocol;
  if (report.sound(path) && report.sound([...path, "port"])) reportTls(raw, protocol, path, report);
  return present({
    name: nonEmpty(raw.name),
    port: { number: raw.port?.number ?? 0, protocol, name: raw.port?.name ?? "" },
    bind: nonEmpty(raw.bind),
    hosts: listOf(raw.hosts),
    tls: maybe(raw.tls, (tls) => decodeServerTls(tls, [...path, "tls"], report)),
  });
}

function reportTls(raw: RawServer, protocol: ServerProtocol, path: FieldPath, report: Report): void {
  const tls = raw.tls;
  if (TLS_PROTOCOLS.has(protocol)) {
    if (tls == null) report.error("missing-field", [...path, "tls"], `A server of protocol ${protocol} needs tls.`);
    else if (tls.httpsRedirect === true) {
      const message = "httpsRedirect is for servers of protocol HTTP; this one has TLS already.";
      report.error("conflicting-fields", [...path, "tls", "httpsRedirect"], message);
    }
    return;
  }
  if (tls == null) return;
  const onlyRedirects = Object.keys(tls).every((name) => name === "httpsRedirect");
  if (HTTP_PROTOCOLS.has(protocol) && onlyRedirects) return;
  const message = HTTP_PROTOCOLS.has(protocol)
    ? `A server of protocol ${protocol} can have httpsRedirect only; for TLS write protocol: HTTPS.`
    : `A server of protocol ${protocol} can have no tls; for TLS write protocol: TLS.`;
  report.error("conflicting-fields", [...path, "tls"], message);
}
