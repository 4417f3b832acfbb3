// A service's back door: makes it fail or stall by path, and tells what it received. Only for demonstrations and tests.
import { createServer, type Server, type ServerResponse } from "node:http";

/** What to do with requests to a path: answer a status, never answer, or begin an answer and never end it. */
export type Misbehaviour = number | "stall" | "half";

/** What a service received since its last PUT. */
export interface Received {
  /** How often each path was asked for. */
  readonly requests: Readonly<Record<string, number>>;
  /** Requests that are stalled now. */
  readonly stalled: number;
  /** Connections that are open now. */
  readonly connections: number;
}

/**
 * GET tells what was received. PUT takes {"<path>": <misbehaviour>}, in place of what was there, ends everything that
 * stalls and counts from 0.
 */
export class Control {
  #rules: Readonly<Record<string, Misbehaviour>> = {};
  #requests: Record<string, number> = {};
  #connections = 0;
  readonly #stalled = new Set<ServerResponse>();

  /** Counts the request; true if it was dealt with here. */
  intervene(path: string, response: ServerResponse): boolean {
    this.#requests[path] = (this.#requests[path] ?? 0) + 1;
    const rule = this.#rules[path];
    if (rule === undefined) return false;
    if (typeof rule === "number") {
      response.writeHead(rule, { "content-type": "text/plain" }).end("asked to fail\n");
      return true;
    }
    if (rule === "half") response.writeHead(200, { "content-type": "text/plain" }).write("the first half\n");
    this.#stalled.add(response);
    response.on("close", () => this.#stalled.delete(response));
    return true;
  }

  countConnections(server: Server): void {
    server.on("connection", (socket) => {
      this.#connections += 1;
      socket.on("close", () => {
        this.#connections -= 1;
      });
    });
  }

  server(): Server {
    return createServer(async (request, response) => {
      if (request.method === "PUT") {
        let body = "";
        for await (const chunk of request) body += chunk;
        this.#rules = JSON.parse(body || "{}");
        this.#requests = {};
        for (const stalled of this.#stalled) stalled.destroy();
      }
      const received: Received = {
        requests: this.#requests,
        stalled: this.#stalled.size,
        connections: this.#connections,
      };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(received));
    });
  }
}
