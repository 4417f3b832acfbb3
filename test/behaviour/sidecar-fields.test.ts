// Sidecar resources: what workloads reach and how they are reached, and how refusals show, through real sidecars.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loopbackAddress } from "../harness/addresses.js";
import { type Backend, startBackend } from "../harness/backend.js";
import { certificateFiles, createAuthority } from "../harness/certificates.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { startTcpBackend, type TcpBackend } from "../harness/tcp-backend.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
let mesh: TestMesh;
let sidecar: TestProxy;
let other: TestProxy;
let web: Backend;
let raw: TcpBackend;
let directory: string;
let log: string;

beforeAll(async () => {
  directory = await scope.directory();
  log = join(directory, "access.log");
  mesh = await startTestMesh(scope, { accessLog: log });
  web = await startBackend(scope, "web");
  raw = await startTcpBackend(scope, "raw");
  const services = ["one", "two"].map(
    (namespace) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: ${namespace}}
spec:
  hosts: [web.${namespace}.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - {number: 9080, name: http, protocol: HTTP, targetPort: ${web.port}}
  - {number: 9081, name: other, protocol: HTTP, targetPort: ${web.port}}
  endpoints: [{address: 127.0.0.1}]
`,
  );
  await mesh.apply("services.yaml", services.join("---\n"));
  sidecar = await mesh.startProxy({ name: "gold", labels: { tier: "gold" } });
  other = await mesh.startProxy({ name: "iron", labels: { tier: "iron" } });
});

/** `spec` is YAML flow. */
async function apply(spec: string): Promise<void> {
  await mesh.apply(
    "sidecar.yaml",
    `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default}
spec: ${spec}
`,
  );
  expect((await mesh.violations()).filter(({ severity }) => severity === "error")).toEqual([]);
}

async function status(namespace: string, client = sidecar, port = 9080): Promise<number> {
  return (await ask(`http://${client.address}:${port}/`, { headers: { host: `web.${namespace}.svc.cluster.local` } }))
    .status;
}

describe("egress", () => {
  it("imports the hosts that it lists, for the workloads that are selected", async () => {
    covers("Sidecar", "workloadSelector", "workloadSelector.labels", "egress", "egress[].hosts");
    await apply('{workloadSelector: {labels: {tier: gold}}, egress: [{hosts: ["one/*"]}]}');
    expect([await status("one"), await status("two")]).toEqual([200, 502]);
    expect([await status("one", other), await status("two", other)]).toEqual([200, 200]);
    await apply('{egress: [{hosts: ["*/web.two.svc.cluster.local"]}]}');
    expect([await status("one"), await status("two"), await status("two", other)]).toEqual([502, 200, 200]);
  });

  it("has a listener for its port and address, read as its protocol says", async () => {
    covers("Sidecar", "egress[].port", "egress[].port.number", "egress[].port.protocol", "egress[].port.name");
    covers("Sidecar", "egress[].bind", "egress[].captureMode");
    const listener = (protocol: string, bind: string) =>
      `{egress: [{port: {number: 9081, protocol: ${protocol}, name: egress}, bind: ${bind}, captureMode: NONE, hosts: ["one/*"]}]}`;
    await apply(listener("HTTP", other.address));
    await eventually("the others go", async () => !(await sidecar.get("/listeners")).body.includes("9080"));
    const headers = { host: "web.one.svc.cluster.local" };
    const { body } = await ask(`http://${other.address}:9081/`, { headers });
    expect(JSON.parse(body).backend).toBe("web");
    expect((await ask(`http://${other.address}:9081/`, { headers: { host: "stranger" } })).status).toBe(502);
    // As plain TCP nobody looks at the host.
    await apply(listener("TCP", other.address));
    const answered = async () => (await ask(`http://${other.address}:9081/`, { headers: { host: "stranger" } })).status;
    await eventually("it is passed on unread", async () => (await answered()) === 200);
  });

  it("listens on a Unix socket", async () => {
    covers("Sidecar", "egress[].bind");
    const path = join(directory, "egress.sock");
    await apply(
      `{egress: [{port: {number: 9080, protocol: HTTP, name: egress}, bind: "unix://${path}", hosts: ["one/*"]}]}`,
    );
    const sent = request({ socketPath: path, headers: { host: "web.one.svc.cluster.local" } });
    sent.end();
    const [response] = await once(sent, "response");
    expect(response.statusCode).toBe(200);
    response.resume();
  });
});

describe("an egress listener on a socket with the port 0", () => {
  it("takes each service on the first of its ports", async () => {
    covers("Sidecar", "egress[].port.number", "egress[].bind");
    const path = join(directory, "any.sock");
    await apply(`{egress: [{port: {number: 0, protocol: HTTP, name: any}, bind: "unix://${path}", hosts: ["one/*"]}]}`);
    const answer = async (host: string) => {
      const sent = request({ socketPath: path, headers: { host } });
      sent.end();
      const [response] = await once(sent, "response");
      response.resume();
      return response.statusCode;
    };
    expect([await answer("web.one.svc.cluster.local"), await answer("web.two.svc.cluster.local")]).toEqual([200, 502]);
    expect(await sidecar.stat("cluster.outbound|9080||web.one.svc.cluster.local.upstream_rq_2xx")).toBeGreaterThan(0);
  });

  it("passes connections on to its service's first port", async () => {
    covers("Sidecar", "egress[].port.number", "egress[].bind");
    const path = join(directory, "tcp.sock");
    const entry = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: raw}
spec:
  hosts: [raw.example.com]
  resolution: STATIC
  ports: [{number: 9300, name: tcp, protocol: TCP, targetPort: ${raw.port}}]
  endpoints: [{address: 127.0.0.1}]
`;
    await mesh.apply("raw.yaml", entry);
    await apply(
      `{egress: [{port: {number: 0, protocol: TCP, name: any}, bind: "unix://${path}", hosts: ["./raw.example.com"]}]}`,
    );
    const socket = connect(path);
    expect(String((await once(socket, "data"))[0])).toBe("raw\n");
    socket.destroy();
    await mesh.remove("raw.yaml");
  });
});

describe("outboundTrafficPolicy", () => {
  it("REGISTRY_ONLY refuses what is not known, and says so in the access log and in Envoy's figures", async () => {
    covers("Sidecar", "outboundTrafficPolicy", "outboundTrafficPolicy.mode");
    await apply("{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}");
    const figure = () => sidecar.stat("http.outbound_9080.rq_direct_response");
    const before = await figure();
    const { status: refused } = await ask(`http://${sidecar.address}:9080/a`, {
      headers: { host: "stranger.example" },
    });
    expect([refused, (await figure()) - before]).toEqual([502, 1]);
    await eventually("the line is written", async () => {
      await sidecar.post("/reopen_logs");
      const lines = (await readFile(log, "utf8")).split("\n").filter((line) => line.startsWith("{"));
      const line = lines.map((text) => JSON.parse(text)).find(({ authority }) => authority === "stranger.example");
      return line?.response_code === 502 && line.route_name === "block_all" && line.path === "/a";
    });
    expect(await status("one")).toBe(200);
  });
});

describe("ingress", () => {
  it("takes its port and passes it on to defaultEndpoint, read as its protocol says", async () => {
    covers("Sidecar", "ingress", "ingress[].port", "ingress[].port.number", "ingress[].port.protocol");
    covers("Sidecar", "ingress[].port.name", "ingress[].defaultEndpoint", "ingress[].captureMode");
    const port = (number: number, protocol: string, target: number) =>
      `{port: {number: ${number}, protocol: ${protocol}, name: p${number}}, captureMode: NONE, defaultEndpoint: "127.0.0.1:${target}"}`;
    await apply(`{ingress: [${port(8080, "HTTP", web.port)}, ${port(8081, "TCP", raw.port)}]}`);
    const { headers, body } = await ask(`http://${sidecar.address}:8080/`);
    expect(JSON.parse(body).backend).toBe("web");
    expect(headers["x-envoy-upstream-service-time"]).toBeDefined();
    const socket = connect(8081, sidecar.address);
    expect(String((await once(socket, "data"))[0])).toBe("raw\n");
    socket.destroy();
  });

  it("listens on the address in bind", async () => {
    covers("Sidecar", "ingress[].bind");
    const address = await loopbackAddress(scope);
    await mesh.apply(
      "sidecar.yaml",
      `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default}
spec:
  workloadSelector: {labels: {tier: gold}}
  ingress: [{port: {number: 8084, protocol: HTTP, name: http}, bind: ${address}, defaultEndpoint: "127.0.0.1:${web.port}"}]
`,
    );
    expect((await ask(`http://${address}:8084/`)).status).toBe(200);
    await expect(ask(`http://${sidecar.address}:8084/`)).rejects.toThrow("ECONNREFUSED");
  });

  it("ends TLS with files of its own", async () => {
    covers("Sidecar", "ingress[].tls");
    const authority = await createAuthority("ingress");
    const { certificate, privateKey } = await certificateFiles(scope, await authority.issue(["in.example.com"]));
    const tls = `tls: {mode: SIMPLE, serverCertificate: ${certificate}, privateKey: ${privateKey}}`;
    await apply(
      `{ingress: [{port: {number: 8443, protocol: HTTP, name: https}, defaultEndpoint: "127.0.0.1:${web.port}", ${tls}}]}`,
    );
    const secure = { ca: authority.certificate, serverName: "in.example.com", headers: { host: "in.example.com" } };
    expect((await ask(`https://${sidecar.address}:8443/`, secure)).status).toBe(200);
    await expect(ask(`http://${sidecar.address}:8443/`)).rejects.toThrow();
  });

  it("has the connection pool of its port, else the Sidecar's", async () => {
    covers("Sidecar", "ingress[].connectionPool", "inboundConnectionPool");
    const port = (number: number, more: string) =>
      `{port: {number: ${number}, protocol: HTTP, name: p${number}}, defaultEndpoint: "127.0.0.1:${web.port}"${more}}`;
    const closed = "{http: {http2MaxRequests: 0}}";
    const open = ", connectionPool: {http: {http2MaxRequests: 10}}";
    await apply(`{inboundConnectionPool: ${closed}, ingress: [${port(8080, "")}, ${port(8081, open)}]}`);
    const answers = [8080, 8081].map((number) => ask(`http://${sidecar.address}:${number}/`));
    expect((await Promise.all(answers)).map((answer) => answer.status)).toEqual([503, 200]);
  });

  it("idles out TCP connections by the pool's idleTimeout", async () => {
    covers("Sidecar", "inboundConnectionPool");
    await apply(
      `{inboundConnectionPool: {tcp: {idleTimeout: 100ms}}, ingress: [{port: {number: 8082, protocol: TCP, name: tcp}, defaultEndpoint: "127.0.0.1:${raw.port}"}]}`,
    );
    const socket = connect(8082, sidecar.address);
    socket.resume();
    await once(socket, "close");
    expect(await sidecar.stat("tcp.inbound|8082||.idle_timeout")).toBe(1);
  });
});
