// An HTTP backend that says who it is and what it was asked, and can misbehave on request.
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { text } from "node:stream/consumers";
import type { TLSSocket } from "node:tls";
import type { KeyedCertificate } from "./certificates.js";
import type { Scope } from "./scope.js";

export interface ReceivedRequest {
  /** The backend's name, so that a client sees which one answered. */
  readonly backend: string;
  readonly method: string;
  /** Path and query, as they came. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The server name that the client asked for, with TLS. */
  readonly serverName?: string;
}

/** What to do with a request: answer it, answer its head and then stall, never answer, or drop the connection. */
export type Answer =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  | { readonly status: number; readonly thenStall: true }
  | "stall"
  | "reset";

/** Takes a request and how many came before it since the behaviour was set; the request itself as JSON by default. */
export type Behaviour = (request: ReceivedRequest, before: number) => Answer;

export interface Backend {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Everything received, oldest first; a test may empty it. */
  readonly requests: ReceivedRequest[];
  /** Connections open now, and all since the start. */
  readonly connections: { open: number; total: number };
  behave(behaviour: Behaviour): void;
  /** Ends all connections, and with them everything that stalls, and stops listening. */
  close(): Promise<void>;
}

export interface BackendOptions {
  readonly host?: string;
  /** From the kernel by default. */
  readonly port?: number;
  /** Serves HTTPS with this certificate. */
  readonly tls?: KeyedCertificate;
  /** With tls: PEM of the authority that a client's certificate must come from; none is asked for by default. */
  readonly clientAuthority?: string;
}

/** Answers 200 with the ReceivedRequest as JSON. */
export const echo: Behaviour = (request) => ({
  status: 200,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(request),
});

/** Fails the first n requests with a status, then echoes. */
export function failFirst(n: number, status = 503): Behaviour {
  return (request, before) => (before < n ? { status, body: "asked to fail" } : echo(request, before));
}

export async function startBackend(scope: Scope, name: string, options: BackendOptions = {}): Promise<Backend> {
  let behaviour = echo;
  let before = 0;
  const requests: ReceivedRequest[] = [];
  const listener: RequestListener = async (request, response) => {
    const received: ReceivedRequest = {
      backend: name,
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
      body: await text(request).catch(() => ""),
      ...serverNameOf(request.socket),
    };
    requests.push(received);
    give(response, behaviour(received, before++));
  };
  const server = options.tls
    ? createTlsServer(
        {
          cert: options.tls.certificate,
          key: options.tls.privateKey,
          ...(options.clientAuthority ? { ca: options.clientAuthority, requestCert: true } : {}),
        },
        listener,
      )
    : createServer(listener);
  const sockets = new Set<Socket>();
  const connections = { open: 0, total: 0 };
  server.on(options.tls ? "secureConnection" : "connection", (socket: Socket) => {
    sockets.add(socket);
    connections.open += 1;
    connections.total += 1;
    socket.on("close", () => {
      sockets.delete(socket);
      connections.open -= 1;
    });
  });
  server.keepAliveTimeout = 0;
  server.listen({ port: options.port ?? 0, host: options.host ?? "127.0.0.1", backlog: 4096 });
  await once(server, "listening");
  const { address: host, port } = server.address() as AddressInfo;
  return scope.use({
    name,
    host,
    port,
    requests,
    connections,
    behave(next) {
      behaviour = next;
      before = 0;
    },
    async close() {
      if (!server.listening) return;
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  });
}

function serverNameOf(socket: Socket): { serverName?: string } {
  const { servername } = socket as TLSSocket;
  return typeof servername === "string" ? { serverName: servername } : {};
}

function give(response: ServerResponse, answer: Answer): void {
  if (answer === "stall") return;
  if (answer === "reset") response.socket?.resetAndDestroy();
  else if ("thenStall" in answer) {
    response.writeHead(answer.status, { "content-type": "text/plain" });
    response.write("the first half\n");
  } else {
    response.writeHead(answer.status, answer.headers);
    response.end(answer.body);
  }
}
