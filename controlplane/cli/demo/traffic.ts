// The demo's client: sends requests to Envoys as an application would, and reads what comes back.
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { request as tlsRequest } from "node:https";

export interface Question {
  /** Where to connect: an Envoy's listener. */
  readonly to: { readonly host: string; readonly port: number };
  /** What to ask for: the Host header, and with TLS the server name too. */
  readonly host: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** PEM of the authority to trust; with it the request goes by TLS, and the certificate is verified for host. */
  readonly trust?: string;
  readonly signal?: AbortSignal;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** False if the answer broke off. */
  readonly complete: boolean;
  readonly milliseconds: number;
}

/** Connections that are kept for the next request, and at most so many of them. */
export function connections(most: number): Agent {
  return new Agent({ keepAlive: true, maxSockets: most });
}

/** Asks once; rejects when no answer begins, as when a TLS handshake fails. */
export function ask(question: Question, agent?: Agent): Promise<Reply> {
  const { to, host, path, headers = {}, trust, signal } = question;
  const options = { ...to, path, headers: { host, ...headers }, ...(signal ? { signal } : {}) };
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const sent = trust
      ? tlsRequest({ ...options, agent: false, ca: trust, servername: host })
      : request({ ...options, agent: agent ?? false });
    sent.on("error", reject);
    sent.on("response", (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      const done = () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body,
          complete: response.complete,
          milliseconds: performance.now() - started,
        });
      response.on("end", done);
      response.on("error", done);
    });
    sent.end();
  });
}

/** Asks n times, so many at once, and hands each reply to count, in whatever order they come. */
export async function askMany(
  question: Question,
  n: number,
  atOnce: number,
  count: (reply: Reply) => void,
): Promise<void> {
  const agent = connections(atOnce);
  let left = n;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      count(await ask(question, agent));
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(atOnce, n) }, worker));
  } finally {
    agent.destroy();
  }
}

/** How often each key occurs. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(key: string): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** True if nothing but this occurred, and it did. */
  isOnly(key: string): boolean {
    return this.#counts.size === 1 && this.of(key) > 0;
  }

  /** "v1 30, v2 10", most frequent first. */
  toString(): string {
    const sorted = [...this.#counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
    return sorted.map(([key, count]) => `${key} ${count}`).join(", ") || "nothing";
  }
}
