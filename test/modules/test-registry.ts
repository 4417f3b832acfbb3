// A small image registry for tests: the OCI distribution protocol's pull and push, with tokens where they are asked for.
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import type { Scope } from "../harness/scope.js";

export interface RegistryOptions {
  /** Whom it serves, and by which scheme it asks; everybody by default. */
  readonly credentials?: { readonly username: string; readonly password: string; readonly scheme: "basic" | "bearer" };
  /** Gives blobs at another address, as registries do that keep them elsewhere. */
  readonly redirectsBlobs?: boolean;
}

export interface TestRegistry {
  /** host:port */
  readonly host: string;
  /** Method and path of everything that was asked. */
  readonly requests: string[];
  /** Changes what is stored under a digest or tag. */
  tamper(change: (name: string, content: Buffer) => Buffer): void;
}

interface Stored {
  readonly content: Buffer;
  readonly type: string;
}

export async function startTestRegistry(scope: Scope, options: RegistryOptions = {}): Promise<TestRegistry> {
  const stored = new Map<string, Stored>();
  const requests: string[] = [];
  const token = randomUUID();
  let tamper = (_name: string, content: Buffer) => content;
  const server = createServer((request, response) => void answer(request, response));
  scope.use({ close: () => server.close() });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", `http://${host}`);
    requests.push(`${request.method} ${url.pathname}`);
    const content = await buffer(request);
    if (url.pathname === "/token") return giveToken(request, response, url);
    const elsewhere = /^\/elsewhere\/(.*)$/.exec(url.pathname)?.[1];
    if (elsewhere !== undefined) return give(response, elsewhere);
    if (!isAdmitted(request)) return challenge(response);
    const [, repository = "", kind = "", name = ""] = /^\/v2\/(.+)\/(manifests|blobs)\/(.*)$/.exec(url.pathname) ?? [];
    if (request.method === "POST") {
      response.writeHead(202, { location: `/v2/${repository}/blobs/uploads/${randomUUID()}` }).end();
    } else if (request.method === "PUT") {
      const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
      const type = request.headers["content-type"] ?? "application/octet-stream";
      for (const key of kind === "manifests" ? [digest, keyOf(repository, name)] : [digest])
        stored.set(key, { content, type });
      response.writeHead(201, { "docker-content-digest": digest }).end();
    } else if (kind === "blobs" && options.redirectsBlobs) {
      response.writeHead(307, { location: `http://localhost:${host.split(":")[1]}/elsewhere/${name}` }).end();
    } else give(response, keyOf(repository, name));
  }

  function give(response: ServerResponse, name: string): void {
    const found = stored.get(name);
    if (!found) response.writeHead(404).end();
    else response.writeHead(200, { "content-type": found.type }).end(tamper(name, found.content));
  }

  function isAdmitted({ headers }: IncomingMessage): boolean {
    const { credentials } = options;
    if (!credentials) return true;
    return headers.authorization === (credentials.scheme === "bearer" ? `Bearer ${token}` : basicOf(credentials));
  }

  function challenge(response: ServerResponse): void {
    const bearer = `Bearer realm="http://${host}/token",service="test, with a comma",scope="repository:filters/hello:pull"`;
    const value = options.credentials?.scheme === "bearer" ? bearer : 'Basic realm="test"';
    response.writeHead(401, { "www-authenticate": value }).end();
  }

  function giveToken({ headers }: IncomingMessage, response: ServerResponse, { searchParams }: URL): void {
    const known = options.credentials !== undefined && headers.authorization === basicOf(options.credentials);
    const asked = searchParams.get("service") === "test, with a comma" && searchParams.get("scope")?.endsWith(":pull");
    if (known && asked) response.end(JSON.stringify({ token }));
    else response.writeHead(401).end();
  }

  return {
    host,
    requests,
    tamper(change) {
      tamper = change;
    },
  };
}

/** Tags are a repository's own. */
function keyOf(repository: string, name: string): string {
  return name.startsWith("sha256:") ? name : `${repository}:${name}`;
}

function basicOf({ username, password }: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
