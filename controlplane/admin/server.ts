// The read-only HTTP that status, diff, the demo, Prometheus and people read. GET alone, and nothing secret in it.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIP } from "node:net";
import { isLoopback, parseAddress } from "../xds/address.js";
import { type Answer, type AnswerSources, adminAnswers, TextAnswer } from "./answers.js";
import { QuestionFault } from "./question-fault.js";

export interface AdminOptions extends AnswerSources {
  /** Serves addresses that other machines can reach, too. There is no authentication. */
  readonly allowRemote?: boolean;
  /** A defect of ours in an answer; whoever asked gets a 500 without its reason. */
  readonly onFault?: (path: string, error: unknown) => void;
}

export interface Admin {
  /**
   * Takes "host:port", port 0 for a free one, and resolves with the address that is served. Rejects when it cannot be
   * bound, and when it is not a loopback address and remote ones are not allowed.
   */
  listen(address: string): Promise<string>;
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 512;

export function createAdmin(options: AdminOptions): Admin {
  const answers = adminAnswers(options);
  const onFault = options.onFault ?? (() => {});
  const server = createServer((request, response) => void answer(answers, onFault, request, response));
  server.maxConnections = MAX_CONNECTIONS;
  return {
    async listen(address) {
      const { host, port } = parseAddress(address);
      if (!options.allowRemote && !isLoopback(host)) {
        throw new Error(`${address}: the admin has no authentication, so only loopback addresses are served`);
      }
      return listen(server, address, host, port);
    },
    close: () => close(server),
  };
}

async function answer(
  answers: ReadonlyMap<string, Answer>,
  onFault: (path: string, error: unknown) => void,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const send = (code: number, body: unknown) => {
    const isText = body instanceof TextAnswer;
    response.writeHead(code, {
      "content-type": isText ? body.contentType : "application/json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...(code === 405 ? { allow: "GET" } : {}),
    });
    response.end(isText ? body.text : `${JSON.stringify(body)}\n`);
  };
  const [path = "/", query = ""] = (request.url ?? "/").split("?", 2);
  if (request.method !== "GET") return send(405, { error: "only GET is served" });
  if (!isDirect(request)) return send(403, { error: "ask by IP address or as localhost" });
  const found = answers.get(path);
  if (!found) return send(404, { error: `there are ${[...answers.keys()].join(", ")}` });
  try {
    send(200, await found(new URLSearchParams(query)));
  } catch (error) {
    if (error instanceof QuestionFault) return send(error.code, { error: error.message });
    onFault(path, error);
    send(500, { error: "the control plane failed on this question" });
  }
}

/** A web page that has its own name resolve to this address must not read the mesh through the reader's browser. */
function isDirect(request: IncomingMessage): boolean {
  const host = (request.headers.host ?? "").replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  return host === "localhost" || isIP(host) !== 0;
}

function listen(server: Server, address: string, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      const bound = server.address();
      resolve(typeof bound === "object" && bound ? address.replace(/:\d+$/, `:${bound.port}`) : address);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
