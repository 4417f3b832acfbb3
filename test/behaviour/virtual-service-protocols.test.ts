// Protocols other than plain HTTP/1.1 under VirtualService rules: gRPC, HTTP/2 and WebSocket, through real Envoys.
import { once } from "node:events";
import { createServer, request } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { Client, credentials, Server, ServerCredentials, type ServiceError, status } from "@grpc/grpc-js";
import { beforeAll, describe, expect, it } from "vitest";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { virtualService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
const METHOD = "/shop.Reviews/Get";
let mesh: TestMesh;
let sidecar: TestProxy;
let gateway: TestProxy;
/** How the gRPC server answers: the codes of its first answers, then OK. */
let grpcAnswers: status[] = [];
let grpcCalls = 0;

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  const [grpc, http2, websocket] = [await startGrpc(), await startHttp2(), await startWebSocket()];
  const services = [
    service("calls", "GRPC", grpc),
    service("modern", "HTTP2", http2),
    service("chat", "HTTP", websocket),
  ];
  await mesh.apply("services.yaml", services.join("---\n"));
  await mesh.apply("gateway.yaml", GATEWAY);
  [sidecar, gateway] = await Promise.all([
    mesh.startProxy({ name: "client" }),
    mesh.startProxy({ name: "gw", role: "router", labels: { app: "gw" } }),
  ]);
});

const GATEWAY = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {app: gw}
  servers:
  - {port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 8081, name: http2, protocol: HTTP2}, hosts: ["*"]}
  - {port: {number: 8082, name: grpc, protocol: GRPC}, hosts: ["*"]}
`;

function service(name: string, protocol: string, port: number): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec:
  hosts: [${name}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: main, protocol: ${protocol}}]
  endpoints: [{address: 127.0.0.1, ports: {main: ${port}}}]
`;
}

/** A rule for the service, on sidecars and at the gateway. */
function apply(name: string, settings = ""): Promise<void> {
  const host = `${name}.default.svc.cluster.local`;
  const rule = virtualService(name, `  - route: [{destination: {host: ${host}, port: {number: 9080}}}]\n${settings}`);
  return mesh.apply(
    "rule.yaml",
    rule.replace("spec:", "spec:\n  gateways: [mesh, gw]").replace(`[${name}]`, `[${host}]`),
  );
}

const identity = (bytes: Buffer) => bytes;

async function startGrpc(): Promise<number> {
  const server = new Server();
  const definition = {
    path: METHOD,
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  } as const;
  server.addService(
    { Get: definition },
    {
      Get: (call: { request: Buffer }, answer: (error: Partial<ServiceError> | null, value?: Buffer) => void) => {
        const code = grpcAnswers[grpcCalls++] ?? status.OK;
        if (code === status.OK) answer(null, call.request);
        else answer({ code, details: "asked to fail" });
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  scope.use({ close: () => server.forceShutdown() });
  return port;
}

async function startHttp2(): Promise<number> {
  const server = createHttp2Server((incoming, answer) => {
    answer.setHeader("x-version", incoming.httpVersion);
    answer.end("modern");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  scope.use({ close: () => server.close() });
  return (server.address() as AddressInfo).port;
}

/** Accepts upgrades and sends back what it gets; other requests it answers with 426. */
async function startWebSocket(): Promise<number> {
  const server = createServer((_, answer) => answer.writeHead(426).end());
  const sockets = new Set<Socket>();
  server.on("upgrade", (incoming, socket: Socket) => {
    sockets.add(socket);
    const head = ["HTTP/1.1 101 Switching Protocols", "connection: upgrade", "upgrade: websocket"];
    socket.write(`${[...head, `x-path: ${incoming.url}`].join("\r\n")}\r\n\r\n`);
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  scope.use({
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return (server.address() as AddressInfo).port;
}

interface CallResult {
  readonly code: status;
  readonly details?: string;
  readonly answer?: string;
  /** Calls that the server saw. */
  readonly calls: number;
}

async function callGrpc(address = sidecar.address, port = 9080, deadlineMs = 10_000): Promise<CallResult> {
  grpcCalls = 0;
  const client = new Client(`${address}:${port}`, credentials.createInsecure(), {
    "grpc.default_authority": "calls.default.svc.cluster.local",
  });
  try {
    return await new Promise((resolve) =>
      client.makeUnaryRequest(
        METHOD,
        identity,
        identity,
        Buffer.from("hello"),
        { deadline: Date.now() + deadlineMs },
        (error, value) =>
          resolve(
            error
              ? { code: error.code, details: error.details, calls: grpcCalls }
              : { code: status.OK, answer: String(value), calls: grpcCalls },
          ),
      ),
    );
  } finally {
    client.close();
  }
}

describe("gRPC", () => {
  it("passes through sidecars and gateways, under a rule and without one", async () => {
    grpcAnswers = [];
    expect(await callGrpc()).toEqual({ code: status.OK, answer: "hello", calls: 1 });
    await apply("calls", "    match: [{uri: {prefix: /shop.Reviews/}, method: {exact: POST}}]\n");
    expect(await callGrpc()).toEqual({ code: status.OK, answer: "hello", calls: 1 });
    for (const port of [8080, 8081, 8082]) {
      expect(await callGrpc(gateway.address, port), String(port)).toMatchObject({ code: status.OK, answer: "hello" });
    }
  });

  it("keeps the server's own status, and gets one for the proxy's errors", async () => {
    await apply("calls", "    match: [{uri: {exact: /shop.Reviews/Get}}]\n");
    grpcAnswers = [status.NOT_FOUND];
    expect(await callGrpc()).toMatchObject({ code: status.NOT_FOUND, details: "asked to fail" });
    await apply("calls", "    match: [{uri: {exact: /other}}]\n");
    expect((await callGrpc()).code).toBe(status.UNIMPLEMENTED);
    await mesh.apply("rule.yaml", virtualService("calls", "  - route: [{destination: {host: calls, subset: none}}]\n"));
    expect((await callGrpc()).code).toBe(status.UNAVAILABLE);
  });

  it("gets the fault's grpcStatus", async () => {
    covers("VirtualService", "http[].fault.abort.grpcStatus");
    for (const name of ["UNAVAILABLE", "PERMISSION_DENIED", "DATA_LOSS"] as const) {
      await apply("calls", `    fault: {abort: {grpcStatus: ${name}, percentage: {value: 100}}}\n`);
      expect(await callGrpc()).toMatchObject({ code: status[name], calls: 0 });
    }
    await apply("calls", "    fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 0}}}\n");
    grpcAnswers = [];
    expect(await callGrpc()).toMatchObject({ code: status.OK, calls: 1 });
  });

  it("gets a status for the fault's httpStatus, too, after the fault's delay", async () => {
    for (const [http, code] of [
      [503, status.UNAVAILABLE],
      [401, status.UNAUTHENTICATED],
      [404, status.UNIMPLEMENTED],
    ]) {
      const delay = "delay: {fixedDelay: 1ms, percentage: {value: 100}}";
      await apply("calls", `    fault: {${delay}, abort: {httpStatus: ${http}, percentage: {value: 100}}}\n`);
      expect(await callGrpc(), String(http)).toMatchObject({ code, calls: 0 });
    }
  });

  it("is retried on the gRPC conditions of retryOn", async () => {
    await apply("calls", "    retries: {attempts: 2, retryOn: 'unavailable,resource-exhausted'}\n");
    grpcAnswers = [status.UNAVAILABLE, status.RESOURCE_EXHAUSTED];
    expect(await callGrpc()).toEqual({ code: status.OK, answer: "hello", calls: 3 });
    grpcAnswers = [status.INTERNAL];
    expect(await callGrpc()).toMatchObject({ code: status.INTERNAL, calls: 1 });
  });
});

describe("HTTP/2 without TLS", () => {
  it("is spoken with clients and servers that know it, and translated for clients that do not", async () => {
    await apply("modern", "    headers: {response: {set: {x-by: rule}}}\n");
    const authority = "modern.default.svc.cluster.local";
    for (const [address, port] of [
      [sidecar.address, 9080],
      [gateway.address, 8080],
      [gateway.address, 8081],
    ] as const) {
      const session = connectHttp2(`http://${address}:${port}`);
      const stream = session.request({ ":path": "/", ":authority": authority });
      const [head] = await once(stream, "response");
      expect([head[":status"], head["x-version"], head["x-by"]]).toEqual([200, "2.0", "rule"]);
      session.destroy();
    }
    const sent = request({ host: sidecar.address, port: 9080, headers: { host: authority }, agent: false }).end();
    const [answer] = await once(sent, "response");
    answer.resume();
    expect([answer.statusCode, answer.httpVersion, answer.headers["x-version"]]).toEqual([200, "1.1", "2.0"]);
  });
});

describe("a WebSocket", () => {
  it("is upgraded by sidecars and gateways, under the rule that matches", async () => {
    await apply("chat", "    match: [{uri: {prefix: /room}}]\n    rewrite: {uri: /hall}\n");
    for (const [address, port] of [
      [sidecar.address, 9080],
      [gateway.address, 8080],
    ] as const) {
      const open = (path: string) =>
        request({
          host: address,
          port,
          path,
          agent: false,
          headers: {
            host: "chat.default.svc.cluster.local",
            connection: "Upgrade",
            upgrade: "websocket",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
            "sec-websocket-version": "13",
          },
        }).end();
      const [answer, socket] = (await once(open("/room/1"), "upgrade")) as [
        { headers: Record<string, string> },
        Socket,
      ];
      expect(answer.headers["x-path"]).toBe("/hall/1");
      socket.write("hello");
      const [echoed] = await once(socket, "data");
      expect(String(echoed)).toBe("hello");
      socket.destroy();
      const [refused] = await once(open("/elsewhere"), "response");
      expect(refused.statusCode).toBe(404);
      refused.destroy();
    }
  });
});
