// Gateways: HTTP and HTTPS servers with certificates from secrets, on traffic through a real gateway Envoy.
import { beforeAll, describe, expect, it } from "vitest";
import { type Backend, startBackend } from "../harness/backend.js";
import { type Authority, createAuthority } from "../harness/certificates.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { serviceEntry } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
let mesh: TestMesh;
let gateway: TestProxy;
let v1: Backend;
let authority: Authority;

beforeAll(async () => {
  authority = await createAuthority("gateway test");
  mesh = await startTestMesh(scope);
  v1 = await startBackend(scope, "v1");
  await mesh.apply("backend.yaml", serviceEntry("ext", { v1 }));
  gateway = await mesh.startProxy({ name: "gw", role: "router", labels: { app: "my-gateway-controller" } });
});

function secret(name: string, certificate: { certificate: string; privateKey: string }): string {
  const encode = (text: string) => Buffer.from(text).toString("base64");
  return `apiVersion: v1
kind: Secret
metadata: {name: ${name}}
type: kubernetes.io/tls
data: {tls.crt: ${encode(certificate.certificate)}, tls.key: ${encode(certificate.privateKey)}}
`;
}

const HTTPS = `apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata: {name: ext-host-gwy}
spec:
  selector: {app: my-gateway-controller}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: [ext-host.example.com]
    tls: {mode: SIMPLE, credentialName: ext-host-cert}
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: virtual-svc}
spec:
  hosts: [ext-host.example.com]
  gateways: [ext-host-gwy]
  http:
  - match: [{uri: {prefix: /api/}}]
    rewrite: {uri: /}
    route: [{destination: {host: ext}}]
  - route: [{destination: {host: ext}}]
    headers: {request: {set: {x-via: gateway}}}
`;

async function askTls(path: string, serverName = "ext-host.example.com") {
  const answer = await ask(`https://${gateway.address}:10443${path}`, {
    headers: { host: serverName },
    ca: authority.certificate,
    serverName,
  });
  return { status: answer.status, received: answer.status === 200 ? JSON.parse(answer.body) : undefined };
}

describe("a gateway", () => {
  it("serves HTTP while an HTTPS server's secret is missing, and says which one is", async () => {
    covers(
      "Gateway",
      "selector",
      "servers[].hosts",
      "servers[].port.number",
      "servers[].port.name",
      "servers[].port.protocol",
    );
    covers("VirtualService", "gateways");
    await mesh.apply("gateway.yaml", HTTPS);
    const host = "ext-host.example.com";
    expect((await ask(`http://${gateway.address}:10080/`, { headers: { host } })).status).toBe(200);
    await expect(askTls("/")).rejects.toThrow();
    const found = (await mesh.violations()).find((violation) => violation.code === "unknown-secret");
    expect(found?.path).toBe("spec.servers[0].tls.credentialName");
  });

  it("terminates TLS with the secret's certificate, and routes by the bound VirtualService", async () => {
    covers("Gateway", "servers[].tls.mode", "servers[].tls.credentialName");
    covers("VirtualService", "http[].rewrite.uri", "http[].headers.request.set");
    await mesh.apply("secret.yaml", secret("ext-host-cert", await authority.issue(["ext-host.example.com"])));
    const { status, received } = await askTls("/products?x=1");
    expect([status, received.path, received.headers["x-via"]]).toEqual([200, "/products?x=1", "gateway"]);
    expect((await askTls("/api/v1/items")).received.path).toBe("/v1/items");
  });

  it("refuses other server names, and hosts that no rule speaks of", async () => {
    await expect(askTls("/", "other.example.com")).rejects.toThrow();
    const { status } = await ask(`http://${gateway.address}:10080/`, { headers: { host: "other.example.com" } });
    expect(status).toBe(404);
  });

  it("takes over a rotated certificate without a restart", async () => {
    const next = await createAuthority("next");
    await mesh.apply("secret.yaml", secret("ext-host-cert", await next.issue(["ext-host.example.com"])));
    await expect(askTls("/")).rejects.toThrow();
    authority = next;
    expect((await askTls("/")).status).toBe(200);
  });

  it("does not believe clients that name a route or a way past its checks", async () => {
    const headers = { host: "ext-host.example.com", "x-envoy-upstream-rq-timeout-ms": "1", "x-headgate-route": "v1" };
    const { body } = await ask(`http://${gateway.address}:10080/`, { headers });
    expect(JSON.parse(body).headers["x-envoy-expected-rq-timeout-ms"]).toBeUndefined();
  });

  it("is told apart by its labels", async () => {
    await mesh.startProxy({ name: "other", role: "router", labels: { app: "another" } });
    const found = (await mesh.proxies()).find((proxy) => proxy.name === "other");
    expect(found?.types["type.googleapis.com/envoy.config.listener.v3.Listener"]?.resources).toBe(0);
  });
});
