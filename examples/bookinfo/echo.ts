// A service without a sidecar, for what bookinfo lacks: one process, any number of instances that say who they are.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { hostPort } from "./service.js";

/**
 * `--instance NAME=HOST:PORT` (repeatable) and, to serve HTTPS, `--cert FILE --key FILE`. Each instance answers with
 * {"instance": NAME, "host": ..., "path": ...}. Prints one JSON line, {"instances": {NAME: "HOST:PORT"}}, once all serve.
 */
const { values } = parseArgs({
  options: {
    instance: { type: "string", multiple: true, default: [] },
    cert: { type: "string" },
    key: { type: "string" },
  },
});

const instances: Record<string, string> = {};
for (const instance of values.instance) {
  const [name = "", address = ""] = instance.split("=");
  const answer: RequestListener = (request, response) => {
    response.writeHead(200, { "content-type": "application/json", "x-instance": name });
    response.end(`${JSON.stringify({ instance: name, host: request.headers.host, path: request.url })}\n`);
  };
  const server =
    values.cert && values.key
      ? createTlsServer({ cert: readFileSync(values.cert), key: readFileSync(values.key) }, answer)
      : createServer(answer);
  server.keepAliveTimeout = 60_000;
  server.listen(hostPort(address));
  await once(server, "listening");
  const bound = server.address() as AddressInfo;
  instances[name] = `${bound.address}:${bound.port}`;
}
process.stdout.write(`${JSON.stringify({ instances })}\n`);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(0));
