// What the bookinfo services share: how one is started, how it calls another through its sidecar, how it is made to fail.
import { once } from "node:events";
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { Control } from "./control.js";

export interface ServiceRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Calls another service through this one's sidecar, with the headers that must travel with a request, and more. */
  call(service: string, path: string, more?: Record<string, string>): Promise<CallAnswer>;
}

export interface CallAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface ServiceAnswer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  /** Text is sent as HTML, anything else as JSON. */
  readonly body: unknown;
}

export type ServiceHandler = (request: ServiceRequest, version: string) => Promise<ServiceAnswer> | ServiceAnswer;

/** Headers that belong to the whole chain of calls: who asks, and which request it is. */
const TRAVELLING = ["end-user", "x-request-id", "traceparent", "tracestate"];
const CALL_TIMEOUT_MS = 15_000;
const LARGEST_BODY = 64 * 1024;

/**
 * Runs a service as a program: `--listen HOST:PORT --control HOST:PORT --outbound HOST:PORT --version V`, where outbound
 * is its sidecar's listener. Prints one JSON line with the addresses once it serves, and ends on SIGTERM or SIGINT.
 */
export async function serve(name: string, handler: ServiceHandler): Promise<void> {
  const { values } = parseArgs({
    options: {
      listen: { type: "string", default: "127.0.0.1:0" },
      control: { type: "string", default: "127.0.0.1:0" },
      outbound: { type: "string", default: "127.0.0.1:9080" },
      version: { type: "string", default: "v1" },
    },
  });
  const agent = new Agent({ keepAlive: true });
  const control = new Control();
  const server = createServer(async (incoming, response) => {
    const path = new URL(incoming.url ?? "/", "http://service").pathname;
    if (control.intervene(path, response)) return;
    const body = await readBody(incoming);
    const call: ServiceRequest["call"] = (service, at, more = {}) =>
      callThrough(values.outbound, service, at, { ...incoming.headers, ...more }, agent);
    const asked: ServiceRequest = { method: incoming.method ?? "GET", path, headers: incoming.headers, body, call };
    try {
      give(response, await handler(asked, values.version));
    } catch (error) {
      give(response, { status: 500, body: { error: (error as Error).message } });
    }
  });
  control.countConnections(server);
  const listening = await listen(server, values.listen);
  const controlling = await listen(control.server(), values.control);
  process.stdout.write(`${JSON.stringify({ service: name, listen: listening, control: controlling })}\n`);
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(0));
}

/** Splits HOST:PORT. */
export function hostPort(text: string): { host: string; port: number } {
  const at = text.lastIndexOf(":");
  return { host: text.slice(0, at), port: Number(text.slice(at + 1)) };
}

async function listen(server: ReturnType<typeof createServer>, address: string): Promise<string> {
  server.keepAliveTimeout = 60_000;
  server.listen({ ...hostPort(address), backlog: 1024 });
  await once(server, "listening");
  const bound = server.address() as AddressInfo;
  return `${bound.address}:${bound.port}`;
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of incoming) {
    body += chunk;
    if (body.length > LARGEST_BODY) break;
  }
  return body;
}

function give(response: ServerResponse, { status = 200, headers = {}, body }: ServiceAnswer): void {
  const html = typeof body === "string";
  response.writeHead(status, { "content-type": html ? "text/html; charset=utf-8" : "application/json", ...headers });
  response.end(html ? body : `${JSON.stringify(body)}\n`);
}

function callThrough(
  sidecar: string,
  service: string,
  path: string,
  from: IncomingHttpHeaders,
  agent: Agent,
): Promise<CallAnswer> {
  const headers: Record<string, string> = { host: `${service}:9080` };
  for (const name of TRAVELLING) {
    const value = from[name];
    if (typeof value === "string") headers[name] = value;
  }
  return new Promise((resolve, reject) => {
    const sent = request({ ...hostPort(sidecar), path, headers, agent, timeout: CALL_TIMEOUT_MS }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      response.on("error", reject);
    });
    sent.on("timeout", () => sent.destroy(new Error(`${service} did not answer in ${CALL_TIMEOUT_MS} ms`)));
    sent.on("error", reject);
    sent.end();
  });
}
