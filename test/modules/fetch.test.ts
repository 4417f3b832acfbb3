// Modules from files and web servers: bounds, checksums, and all that may stand in the way.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { fetchModule, type ModuleWays } from "../../controlplane/modules/fetch-module.js";
import { httpGet } from "../../controlplane/modules/http-get.js";
import { readPullSecret } from "../../controlplane/modules/pull-secret.js";
import { decodeObject } from "../../controlplane/resources/decode.js";
import type { Secret } from "../../controlplane/resources/kubernetes.js";
import type { WasmPlugin } from "../../controlplane/resources/wasm-plugin.js";
import { createAuthority } from "../harness/certificates.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
const WASM = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
const SHA256 = createHash("sha256").update(WASM).digest("hex");
const never = new AbortController().signal;

function fetchFrom(url: string, spec: object = {}, ways: ModuleWays = {}) {
  const value = {
    apiVersion: "extensions.istio.io/v1alpha1",
    kind: "WasmPlugin",
    metadata: { name: "p" },
    spec: { url, ...spec },
  };
  const { resource, violations } = decodeObject({ value, locate: () => undefined }, "default");
  if (!resource) throw new Error(JSON.stringify(violations));
  return fetchModule({ wasm: (resource as WasmPlugin).spec.wasm }, ways, never);
}

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  scope.use({ close: () => server.closeAllConnections() ?? server.close() });
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const fault = (text: string) => ({ fault: { code: "unknown-module", message: expect.stringContaining(text) } });

describe("a file", () => {
  test("is read, and held against its checksum", async () => {
    const path = join(await scope.directory(), "a.wasm");
    await writeFile(path, WASM);
    expect(await fetchFrom(`file://${path}`, { sha256: SHA256 })).toEqual({ value: WASM });
    expect(await fetchFrom(`file://${path}`, { sha256: "0".repeat(64) })).toEqual(fault(SHA256));
  });

  test("that is not there, is none, or never ends is told of", async () => {
    const directory = await scope.directory();
    expect(await fetchFrom(`file://${directory}/none.wasm`)).toEqual(fault("ENOENT"));
    expect(await fetchFrom(`file://${directory}`)).toEqual(fault("no file"));
    expect(await fetchFrom("file:///dev/zero")).toEqual(fault("no file"));
    await promisify(execFile)("mkfifo", [join(directory, "pipe")]);
    expect(await fetchFrom(`file://${directory}/pipe`)).toEqual(fault("no file"));
    await writeFile(join(directory, "large"), Buffer.alloc((16 << 20) + 1));
    expect(await fetchFrom(`file://${directory}/large`)).toEqual(fault("more than 16777216 bytes"));
  });
});

describe("a web server", () => {
  test("gives a module, compressed or by a redirect", async () => {
    const url = await serve((request, response) => {
      if (request.url === "/moved") response.writeHead(301, { location: "/packed" }).end();
      else response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(WASM));
    });
    expect(await fetchFrom(`${url}/moved`, { sha256: SHA256 })).toEqual({ value: WASM });
  });

  test("that fails is told of by what it did, never by its address", async () => {
    const url = await serve((request, response) => {
      if (request.url === "/loop") response.writeHead(302, { location: "/loop" }).end();
      else if (request.url === "/cut") response.destroy();
      else response.writeHead(404).end();
    });
    expect(await fetchFrom(`${url}/?token=secret`)).toEqual(fault("answers 404"));
    expect(await fetchFrom(`${url}/loop`)).toEqual(fault("more than 5 times"));
    expect(await fetchFrom(`${url}/cut`)).toEqual(fault("cannot be fetched"));
    expect(JSON.stringify(await fetchFrom(`${url}/cut?token=secret`))).not.toContain("secret");
    expect(await fetchFrom("http://127.0.0.1:1/")).toEqual(fault("cannot be fetched"));
  });

  test("that sends without end, or nothing, is left", async () => {
    const url = await serve((request, response) => {
      if (request.url !== "/endless") return;
      response.writeHead(200);
      const chunk = Buffer.alloc(1 << 16);
      const more = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on("drain", more);
      more();
    });
    const bounds = { mostBytes: 1 << 20, signal: never };
    expect(await httpGet({ url: `${url}/endless`, timeoutMillis: 30_000, ...bounds })).toEqual({
      error: "it has more than 1048576 bytes",
    });
    expect(await httpGet({ url: `${url}/silent`, timeoutMillis: 50, ...bounds })).toEqual({
      error: "it takes more than 50 ms",
    });
    const stopped = AbortSignal.abort();
    expect(await httpGet({ url, mostBytes: 1, timeoutMillis: 50, signal: stopped })).toEqual({
      error: "it is no longer wanted",
    });
  });

  test("with TLS is believed by its authority alone, and does not lead away from TLS", async () => {
    const authority = await createAuthority("modules");
    const { certificate, privateKey } = await authority.issue(["127.0.0.1"]);
    const plain = await serve((_, response) => response.end(WASM));
    const server = createTlsServer({ cert: certificate, key: privateKey }, (request, response) => {
      if (request.url === "/away") response.writeHead(302, { location: plain }).end();
      else response.end(WASM);
    }).listen(0, "127.0.0.1");
    scope.use({ close: () => server.closeAllConnections() ?? server.close() });
    await once(server, "listening");
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await fetchFrom(`${url}/`)).toEqual(fault("cannot be fetched"));
    // Node reads NODE_EXTRA_CA_CERTS when it starts.
    const file = join(await scope.directory(), "authority.pem");
    await writeFile(file, authority.certificate);
    const program = `import { httpGet } from ${JSON.stringify(new URL("../../dist/controlplane/modules/http-get.js", import.meta.url))};
const get = (url) => httpGet({ url, mostBytes: 100, timeoutMillis: 10_000, signal: new AbortController().signal });
const [good, away] = [await get("${url}/"), await get("${url}/away")];
console.log(good.value?.body.length, away.error);`;
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: file };
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], { env });
    expect(stdout).toBe("8 it redirects from TLS to plain HTTP\n");
  });
});

test("Without a filter registry there are no versions", async () => {
  expect(await fetchFrom("headgate://hello@1")).toEqual(fault("--filters"));
});

describe("a pull secret", () => {
  const secret = (content: unknown) => {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    const data = new Map([[".dockerconfigjson", Buffer.from(text)]]);
    return { spec: { type: "kubernetes.io/dockerconfigjson", data } } as unknown as Secret;
  };
  const WHO = { username: "a", password: "b:c" };
  const auth = Buffer.from("a:b:c").toString("base64");

  test.each([
    ["a host", "r.example.com", { "r.example.com": { auth } }],
    ["a host with its port", "r.example.com:5000", { "r.example.com": { auth: "x" }, "r.example.com:5000": WHO }],
    ["an address", "r.example.com", { "https://r.example.com/v2/": { auth } }],
    ["Docker Hub's old address", "registry-1.docker.io", { "https://index.docker.io/v1/": WHO }],
  ])("has the credentials for a registry under %s", (_what, registry, auths) => {
    expect(readPullSecret(secret({ auths }), registry)).toEqual({ value: WHO });
  });

  test("that has none, or is none, says so", () => {
    expect(readPullSecret(secret({ auths: { other: WHO } }), "r.example.com")).toEqual({ value: undefined });
    expect(readPullSecret(secret({ auths: { r: { auth: "bm9jb2xvbg==" } } }), "r")).toEqual({ value: undefined });
    expect(readPullSecret(secret("{"), "r")).toEqual({ error: "its .dockerconfigjson is no JSON" });
    expect(readPullSecret(secret({}), "r")).toEqual({ error: "its .dockerconfigjson has no auths" });
    const empty = { spec: { type: "Opaque", data: new Map() } } as unknown as Secret;
    expect(readPullSecret(empty, "r")).toEqual({ error: "it has no .dockerconfigjson" });
  });
});
