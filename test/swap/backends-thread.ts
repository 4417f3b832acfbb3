// A thread with HTTP backends that answer each request with their own name.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parentPort, workerData } from "node:worker_threads";

const ports: Record<string, { port: number }> = {};
for (const name of workerData as readonly string[]) {
  const server = createServer((_, response) => {
    response.writeHead(200, { "content-length": Buffer.byteLength(name) });
    response.end(name);
  });
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ports[name] = { port: (server.address() as AddressInfo).port };
}
parentPort?.postMessage(ports);
