// One request to the API server: bounded in time and size, and tried again with renewed credentials where they lapsed.
import { type IncomingMessage, request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import type { KubeAccess } from "./access.js";
import { KubeFault } from "./object.js";

export interface KubeRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below the server's root, without the query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  /** Of the body; application/json by default. */
  readonly contentType?: string;
  /** The form of the answer; the whole objects as JSON by default. */
  readonly accept?: string;
  readonly signal?: AbortSignal;
}

const JSON_TYPE = "application/json";
/** Milliseconds without a byte, after which a request is given up. */
const SILENCE_MS = 30_000;
/** The largest answer to anything but a list or a watch: etcd's objects have at most 1.5 MiB, before their JSON. */
export const MOST_BYTES = 8 * 1_048_576;

/** Sends it and gives the answer's JSON. Rejects with a KubeFault, whatever went wrong. */
export async function sendForJson(access: KubeAccess, request: KubeRequest, mostBytes = MOST_BYTES): Promise<unknown> {
  const response = await sendForStream(access, request, SILENCE_MS);
  return parseJson(await readText(response, mostBytes));
}

/** Sends it and gives a successful answer, whose body is still to come. Rejects with a KubeFault. */
export async function sendForStream(
  access: KubeAccess,
  request: KubeRequest,
  silenceMs: number,
): Promise<IncomingMessage> {
  let response = await send(access, request, silenceMs);
  if (response.statusCode === 401) {
    response.destroy();
    await access.renew().catch(unreachable);
    response = await send(access, request, silenceMs);
  }
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return response;
  throw faultOf(status, await readText(response, MOST_BYTES).catch(() => ""), response.headers["retry-after"]);
}

/** The fault that a Status object tells of, as the body of an answer or as the object of an ERROR event. */
export function statusFault(value: unknown, status: number, retryAfterMs?: number): KubeFault {
  const { message, reason, code } = (typeof value === "object" && value !== null ? value : {}) as Readonly<
    Record<string, unknown>
  >;
  return new KubeFault(
    typeof message === "string" && message !== "" ? message : `The API server answered ${status}.`,
    typeof code === "number" ? code : status,
    typeof reason === "string" ? reason : "",
    retryAfterMs,
  );
}

function faultOf(status: number, text: string, retryAfter: string | undefined): KubeFault {
  const seconds = Number(retryAfter);
  const wait = retryAfter !== undefined && Number.isFinite(seconds) ? seconds * 1_000 : undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  return statusFault(value, status, wait);
}

async function send(access: KubeAccess, request: KubeRequest, silenceMs: number): Promise<IncomingMessage> {
  const { agent, headers } = await access.credentials().catch(unreachable);
  const { method, query = {}, body, contentType = JSON_TYPE, accept = JSON_TYPE, signal } = request;
  const url = new URL(access.server);
  url.pathname = `${url.pathname.replace(/\/$/, "")}${request.path}`;
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
  const text = body === undefined ? undefined : JSON.stringify(body);
  const start = url.protocol === "http:" ? plainRequest : tlsRequest;
  return new Promise((done, failed) => {
    const sent = start(url, {
      method,
      agent,
      headers: {
        accept,
        ...(text === undefined ? {} : { "content-type": contentType, "content-length": Buffer.byteLength(text) }),
        ...headers,
      },
      ...(signal === undefined ? {} : { signal }),
    });
    sent.setTimeout(silenceMs, () => sent.destroy(silenceFault(silenceMs)));
    sent.on("socket", (socket) => socket.setKeepAlive(true, 15_000));
    sent.on("error", (error: NodeJS.ErrnoException) => {
      // A connection kept from before, which the server may have closed without having seen the request.
      if (sent.reusedSocket && error.code === "ECONNRESET" && method !== "POST") done(send(access, request, silenceMs));
      else failed(noAnswer(error));
    });
    sent.on("response", done);
    sent.end(text);
  });
}

async function readText(response: IncomingMessage, mostBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > mostBytes) {
        throw new KubeFault(`The answer has more than ${mostBytes / 1_048_576} MiB.`, 200, "TooLarge");
      }
      chunks.push(chunk);
    }
  } catch (error) {
    response.destroy();
    throw error instanceof KubeFault ? error : noAnswer(error as NodeJS.ErrnoException);
  }
  return Buffer.concat(chunks).toString("utf8");
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new KubeFault("The API server's answer is no JSON.", 200, "NoJson");
  }
}

/** The fault of a connection that could not be made, or broke. */
export function noAnswer(error: NodeJS.ErrnoException): KubeFault {
  if (error instanceof KubeFault) return error;
  return new KubeFault(error.message || String(error.code), 0, error.code ?? error.name);
}

function silenceFault(ms: number): KubeFault {
  return new KubeFault(`The API server was silent for ${ms / 1_000} s.`, 0, "Silent");
}

function unreachable(error: Error): never {
  throw new KubeFault(error.message, 0, "NoCredentials");
}
