// Access logs: one line of JSON for each request or connection, where the control plane's operator asks for them.
import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { type AccessLog, AccessLogSchema } from "../gen/envoy/config/accesslog/v3/accesslog_pb.js";
import { FileAccessLogSchema } from "../gen/envoy/extensions/access_loggers/file/v3/file_pb.js";
import {
  StderrAccessLogSchema,
  StdoutAccessLogSchema,
} from "../gen/envoy/extensions/access_loggers/stream/v3/stream_pb.js";
import { pack } from "./resource.js";

/** What a line tells. A refused request has the route block_all, a refused connection the cluster BlackHoleCluster. */
const FIELDS = {
  start_time: "%START_TIME%",
  method: "%REQ(:METHOD)%",
  path: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
  authority: "%REQ(:AUTHORITY)%",
  requested_server_name: "%REQUESTED_SERVER_NAME%",
  response_code: "%RESPONSE_CODE%",
  response_code_details: "%RESPONSE_CODE_DETAILS%",
  response_flags: "%RESPONSE_FLAGS%",
  route_name: "%ROUTE_NAME%",
  upstream_cluster: "%UPSTREAM_CLUSTER%",
  upstream_host: "%UPSTREAM_HOST%",
  downstream_remote_address: "%DOWNSTREAM_REMOTE_ADDRESS%",
  duration_ms: "%DURATION%",
  bytes_received: "%BYTES_RECEIVED%",
  bytes_sent: "%BYTES_SENT%",
};

/** `path` is a file on the proxy's machine, or one of Envoy's own streams; undefined means no log. */
export function accessLogs(path: string | undefined): AccessLog[] {
  if (path === undefined) return [];
  return [create(AccessLogSchema, { name: "requests", configType: { case: "typedConfig", value: loggerOf(path) } })];
}

/** The streams are not opened by their paths: that fails where they are sockets, as they are under the agent. */
function loggerOf(path: string): Any {
  const format = { case: "jsonFormat" as const, value: FIELDS };
  const accessLogFormat = { case: "logFormat" as const, value: { format } };
  switch (path) {
    case "/dev/stdout":
      return pack(StdoutAccessLogSchema, create(StdoutAccessLogSchema, { accessLogFormat }));
    case "/dev/stderr":
      return pack(StderrAccessLogSchema, create(StderrAccessLogSchema, { accessLogFormat }));
    default:
      return pack(FileAccessLogSchema, create(FileAccessLogSchema, { path, accessLogFormat }));
  }
}
