// An HTTP client that leaves Host, connections and TLS to the test; Node's fetch does not.
import { type Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";
import { request as tlsRequest } from "node:https";

export interface Asked {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
  /** A connection of its own for each request unless an agent is given. */
  readonly agent?: Agent;
  /** With https: PEM of the authority to trust, and the server name to ask for and verify. */
  readonly ca?: string;
  readonly serverName?: string;
  readonly signal?: AbortSignal;
}

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** False if the connection broke before the body was whole. */
  readonly complete: boolean;
}

/** Sends one request and reads its answer, whatever the status; rejects when no answer begins. */
export function ask(url: string, asked: Asked = {}): Promise<Answered> {
  const { body, ca, serverName, agent = false, signal, method = "GET", headers = {} } = asked;
  const secure = url.startsWith("https:");
  return new Promise((resolve, reject) => {
    const sent = (secure ? tlsRequest : request)(
      url,
      {
        method,
        headers: body === undefined ? headers : { "content-length": Buffer.byteLength(body), ...headers },
        agent: agent as never,
        ...(signal ? { signal } : {}),
        ...(ca ? { ca } : {}),
        ...(serverName ? { servername: serverName } : {}),
      },
      (response) => {
        const chunks: Buffer[] = [];
        const done = () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString("utf8"),
            complete: response.complete,
          });
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", done);
        response.on("error", done);
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}
