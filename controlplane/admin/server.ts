// The read-only JSON that status, the demo and people read. GET alone, and nothing secret in it.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIP } from "node:net";
import type { Publisher } from "../publish/publisher.js";
import type { Revisions } from "../publish/revisions.js";
import type { Violation } from "../resources/violation.js";
import type { ProxyStatus } from "../xds/status.js";
import { meshView } from "./mesh-view.js";
import { proxyViews } from "./proxies.js";

export interface AdminOptions {
  readonly publisher: Publisher;
  readonly revisions: Revisions;
  readonly violations: () => readonly Violation[];
  readonly statuses: () => readonly ProxyStatus[];
}

export interface Admin {
  /** Takes "host:port", port 0 for a free one, and resolves with the address that is served. */
  listen(address: string): Promise<string>;
  close(): Promise<void>;
}

type Answer = (query: URLSearchParams) => unknown;

const MAX_WAIT_SECONDS = 60;

export function createAdmin(options: AdminOptions): Admin {
  const answers = new Map<string, Answer>([
    ["/healthz", () => ({ status: "ok" })],
    ["/mesh", () => meshView(options.publisher.mesh)],
    ["/violations", () => ({ violations: options.violations() })],
    [
      "/proxies",
      () => ({
        revision: options.revisions.revision,
        proxies: proxyViews(options.statuses(), options.publisher, options.revisions),
      }),
    ],
    ["/events", async (query) => ({ events: await events(options.revisions, query) })],
  ]);
  const server = createServer((request, response) => void answer(answers, request, response));
  return { listen: (address) => listen(server, address), close: () => close(server) };
}

function events(revisions: Revisions, query: URLSearchParams) {
  const after = Math.max(0, Number(query.get("after")) || 0);
  const wait = Math.min(MAX_WAIT_SECONDS, Math.max(0, Number(query.get("wait")) || 0));
  return revisions.eventsAfter(after, wait * 1000);
}

async function answer(
  answers: ReadonlyMap<string, Answer>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const send = (code: number, body: unknown) => {
    response.writeHead(code, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(`${JSON.stringify(body)}\n`);
  };
  const [path = "/", query = ""] = (request.url ?? "/").split("?", 2);
  if (request.method !== "GET") return send(405, { error: "only GET is served" });
  if (!isDirect(request)) return send(403, { error: "ask by IP address or as localhost" });
  const found = answers.get(path);
  if (!found) return send(404, { error: `there are ${[...answers.keys()].join(", ")}` });
  send(200, await found(new URLSearchParams(query)));
}

/** A web page that has its own name resolve to this address must not read the mesh through the reader's browser. */
function isDirect(request: IncomingMessage): boolean {
  const host = (request.headers.host ?? "").replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  return host === "localhost" || isIP(host) !== 0;
}

function listen(server: Server, address: string): Promise<string> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(Number(address.slice(colon + 1)), host, () => {
      const bound = server.address();
      resolve(typeof bound === "object" && bound ? `${address.slice(0, colon)}:${bound.port}` : address);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
