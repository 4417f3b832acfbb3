// What a kubelet, a load balancer and Prometheus ask a proxy's agent, over HTTP.
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { HostPort } from "./bootstrap.js";

export interface StatusSources {
  /** Undefined when traffic may flow, else why not, in words for a person. */
  readonly missing: () => Promise<string | undefined>;
  /** In Prometheus' text format. */
  readonly metrics: () => Promise<string>;
}

export interface StatusServer {
  /** Where it listens. */
  readonly address: HostPort;
  close(): void;
}

/**
 * Serves /healthz/ready (200, or 503 with the reason), /healthz/live (200 as long as the agent runs: an Envoy that crashed is
 * its own business) and /metrics, also as /stats/prometheus. Rejects when it cannot listen.
 */
export async function startStatusServer(listen: HostPort, sources: StatusSources): Promise<StatusServer> {
  const server = createServer((request, response) => {
    void answer(new URL(request.url ?? "/", "http://agent").pathname, sources, response).catch((error: Error) =>
      send(response, 500, `${error.message}\n`),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(listen.port, listen.host, resolve);
  });
  const { address, port } = server.address() as AddressInfo;
  return {
    address: { host: address, port },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(path: string, { missing, metrics }: StatusSources, response: ServerResponse): Promise<void> {
  if (path === "/healthz/live") return send(response, 200, "live\n");
  if (path === "/healthz/ready") {
    const reason = await missing();
    return reason === undefined ? send(response, 200, "ready\n") : send(response, 503, `${reason}\n`);
  }
  if (path === "/metrics" || path === "/stats/prometheus")
    return send(response, 200, await metrics(), "text/plain; version=0.0.4; charset=utf-8");
  send(response, 404, "/healthz/ready, /healthz/live and /metrics are what there is\n");
}

function send(response: ServerResponse, status: number, body: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}
