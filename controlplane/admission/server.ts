// The HTTPS server that the API server asks: bounded in what it takes, with a certificate that changes while it runs.
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { isIPv6 } from "node:net";
import { type AdmissionRequest, parseReview } from "./review.js";

/** Gives the AdmissionReview that answers. */
export type Reviewer = (request: AdmissionRequest) => Promise<object> | object;

export interface AdmissionServer {
  /** Resolves with the address that is served. Nobody can connect before there is a certificate. */
  listen(host: string, port: number): Promise<string>;
  /** PEM; connections that exist keep the one they have. */
  useCertificate(certificate: string, privateKey: string): void;
  close(): Promise<void>;
}

/** An object has at most 1.5 MiB in etcd, and a review of an update has two. */
const MOST_BYTES = 8 * 1_048_576;
/** Reviews that are under way; the API server asks again, or goes by its failure policy. */
const MOST_REVIEWS = 64;
const MAX_CONNECTIONS = 256;
/** Milliseconds for a request to arrive as a whole. */
const REQUEST_MS = 10_000;

/** Reviewers by their path, as in /validate. */
export function createAdmissionServer(reviewers: ReadonlyMap<string, Reviewer>): AdmissionServer {
  let underWay = 0;
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
    const reviewer = reviewers.get(request.url?.split("?")[0] ?? "");
    if (!reviewer || request.method !== "POST") {
      return end(response, 404, { error: `there is POST ${[...reviewers.keys()].join(", ")}` });
    }
    if (underWay >= MOST_REVIEWS) return end(response, 503, { error: "too many reviews are under way" });
    underWay++;
    answer(reviewer, request, response)
      .catch(() => end(response, 500, { error: "the control plane failed on this review" }))
      .finally(() => {
        underWay--;
      });
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => {
          const bound = server.address();
          const own = typeof bound === "object" && bound ? bound.port : port;
          resolve(`${isIPv6(host) ? `[${host}]` : host}:${own}`);
        });
      }),
    useCertificate: (cert, key) => server.setSecureContext({ cert, key, minVersion: "TLSv1.2" }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(reviewer: Reviewer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  if (body === undefined) return end(response, 413, { error: `a review has at most ${MOST_BYTES} bytes` });
  const review = parseReview(parseJson(body));
  if (!review) return end(response, 400, { error: "the body is no AdmissionReview of admission.k8s.io/v1" });
  end(response, 200, await reviewer(review));
}

/** Undefined for more than is taken; the rest is not read. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function end(response: ServerResponse, code: number, body: object): void {
  if (response.headersSent) return void response.destroy();
  const close = code === 413 ? { connection: "close" } : {};
  response.writeHead(code, { "content-type": "application/json", ...close });
  response.end(JSON.stringify(body));
}
