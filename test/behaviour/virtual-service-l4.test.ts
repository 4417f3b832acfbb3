// VirtualService tls and tcp rules, on connections through real sidecars and a gateway.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { createAuthority } from "../harness/certificates.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { startTcpBackend, type TcpBackend } from "../harness/tcp-backend.js";

const scope = testScope();
let mesh: TestMesh;
let sidecar: TestProxy;
let elsewhere: TestProxy;
let gateway: TestProxy;

const TCP_PORT = 9000;
const SECOND_PORT = 9001;
const TLS_PORT = 9443;

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  const authority = await createAuthority("outside");
  const tls = await authority.issue(["a.example.com", "*.wild.example.com"]);
  const one = await startTcpBackend(scope, "one");
  const two = await startTcpBackend(scope, "two");
  const [tlsOne, tlsTwo] = [await startTcpBackend(scope, "one", { tls }), await startTcpBackend(scope, "two", { tls })];
  await mesh.apply(
    "services.yaml",
    [service("db", "TCP", one, two), service("a", "TLS", tlsOne, tlsTwo)].join("---\n"),
  );
  await mesh.apply("gateway.yaml", GATEWAY);
  [sidecar, elsewhere, gateway] = await Promise.all([
    mesh.startProxy({ name: "client", labels: { app: "client" } }),
    mesh.startProxy({ name: "elsewhere", namespace: "elsewhere" }),
    mesh.startProxy({ name: "gw", role: "router", labels: { app: "gw" } }),
  ]);
});

/** A rejection would leave a proxy with what it had, which may pass for the right thing. */
afterEach(async () => {
  for (const { name, state } of await mesh.proxies()) expect(`${name}: ${state}`).not.toMatch(/rejected|disconnected/);
});

const GATEWAY = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {app: gw}
  servers:
  - {port: {number: ${TCP_PORT}, name: tcp, protocol: TCP}, hosts: ["*"]}
  - {port: {number: ${SECOND_PORT}, name: tcp-second, protocol: TCP}, hosts: ["*"]}
`;

/** db.example.com or a.example.com and its kin, with a subset for each of two backends. */
function service(name: string, protocol: "TCP" | "TLS", one: TcpBackend, two: TcpBackend): string {
  const ports =
    protocol === "TCP"
      ? `[{number: ${TCP_PORT}, name: main, protocol: TCP}, {number: ${SECOND_PORT}, name: second, protocol: TCP}]`
      : `[{number: ${TLS_PORT}, name: main, protocol: TLS}]`;
  const hosts = protocol === "TCP" ? "db.example.com" : 'a.example.com, b.example.com, "*.wild.example.com"';
  const endpoint = (version: string, { port }: TcpBackend) =>
    `  - {address: 127.0.0.1, labels: {version: ${version}}, ports: {main: ${port}${protocol === "TCP" ? `, second: ${port}` : ""}}}\n`;
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec:
  hosts: [${hosts}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: ${ports}
  endpoints:
${endpoint("one", one)}${endpoint("two", two)}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${name}}
spec:
  host: ${name}.example.com
  subsets: [{name: one, labels: {version: one}}, {name: two, labels: {version: two}}]
`;
}

function apply(hosts: string, section: string, more = ""): Promise<void> {
  return mesh.apply(
    "rule.yaml",
    `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: rule}
spec:
  hosts: [${hosts}]
${more}${section}`,
  );
}

const to = (name: string, subset: string) => `[{destination: {host: ${name}.example.com, subset: ${subset}}}]`;

async function firstLine(socket: Socket): Promise<string> {
  try {
    const [data] = await Promise.race([once(socket, "data"), once(socket, "end").then(() => ["closed\n"])]);
    return String(data).trim();
  } catch {
    return "closed";
  } finally {
    socket.destroy();
  }
}

/** The backend behind a connection to a sidecar or gateway. */
function tcp(proxy = sidecar, port = TCP_PORT): Promise<string> {
  return firstLine(connect({ host: proxy.address, port }));
}

function tls(servername: string, proxy = sidecar): Promise<string> {
  return firstLine(connectTls({ host: proxy.address, port: TLS_PORT, servername, rejectUnauthorized: false }));
}

async function tally(count: number, open: () => Promise<string>): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (let left = count; left > 0; left -= 20) {
    for (const name of await Promise.all(Array.from({ length: 20 }, () => open())))
      found[name] = (found[name] ?? 0) + 1;
  }
  return found;
}

describe("tcp rules", () => {
  it("split connections by weight", async () => {
    covers("VirtualService", "tcp", "tcp[].route", "tcp[].route[].weight", "tcp[].route[].destination");
    covers("VirtualService", "tcp[].route[].destination.host", "tcp[].route[].destination.subset");
    const split = (one: number, two: number) =>
      apply(
        "db.example.com",
        `  tcp:
  - route:
    - {destination: {host: db.example.com, subset: one}, weight: ${one}}
    - {destination: {host: db.example.com, subset: two}, weight: ${two}}
`,
      );
    await split(75, 25);
    // Six standard deviations of a binomial of 400 at 0.75.
    expect(Math.abs(((await tally(400, tcp)).one ?? 0) - 300)).toBeLessThan(52);
    await split(0, 100);
    expect(await tally(20, tcp)).toEqual({ two: 20 });
  });

  it("hold for the port that was called, and lead to the port they name", async () => {
    covers("VirtualService", "tcp[].match", "tcp[].match[].port", "tcp[].route[].destination.port");
    covers("VirtualService", "tcp[].route[].destination.port.number");
    await apply(
      "db.example.com",
      `  tcp:
  - match: [{port: ${SECOND_PORT}}]
    route: [{destination: {host: db.example.com, subset: two, port: {number: ${TCP_PORT}}}}]
  - route: ${to("db", "one")}
`,
    );
    expect(await tally(20, () => tcp(sidecar, SECOND_PORT))).toEqual({ two: 20 });
    expect(await tally(20, tcp)).toEqual({ one: 20 });
    const cluster = `cluster.outbound|${TCP_PORT}|two|db.example.com.upstream_cx_total`;
    expect(await sidecar.stat(cluster)).toBeGreaterThanOrEqual(20);
  });

  it("hold for clients with labels, and of a namespace", async () => {
    covers("VirtualService", "tcp[].match[].sourceLabels", "tcp[].match[].sourceNamespace");
    const rule = (match: string) =>
      apply(
        "db.example.com",
        `  tcp:\n  - match: [${match}]\n    route: ${to("db", "two")}\n  - route: ${to("db", "one")}\n`,
      );
    const answers = async () => [await tcp(), await tcp(elsewhere)];
    await rule("{sourceLabels: {app: client}}");
    expect(await answers()).toEqual(["two", "one"]);
    await rule("{sourceNamespace: elsewhere}");
    expect(await answers()).toEqual(["one", "two"]);
  });

  it("hold for destinations within subnets", async () => {
    covers("VirtualService", "tcp[].match[].destinationSubnets");
    const rule = (subnets: string) =>
      apply(
        "db.example.com",
        `  tcp:\n  - match: [{destinationSubnets: [${subnets}]}]\n    route: ${to("db", "two")}\n  - route: ${to("db", "one")}\n`,
        "  gateways: [mesh, gw]\n",
      );
    const answers = async () => [await tcp(), await tcp(elsewhere), await tcp(gateway)];
    await rule(`10.0.0.0/8, ${sidecar.address}`);
    expect(await answers()).toEqual(["two", "one", "one"]);
    await rule(`${gateway.address}/32`);
    expect(await answers()).toEqual(["one", "one", "two"]);
    await rule("127.0.0.0/8");
    expect(await answers()).toEqual(["two", "two", "two"]);
  });

  it("of the VirtualService with the most specific host hold, be it the younger one", async () => {
    covers("VirtualService", "hosts");
    const rule = (name: string, host: string, subset: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}}
spec: {hosts: ["${host}"], tcp: [{route: ${to("db", subset)}}]}
`;
    await mesh.apply(
      "rule.yaml",
      [rule("a", "*.example.com", "one"), rule("b", "db.example.com", "two")].join("---\n"),
    );
    expect(await tally(20, tcp)).toEqual({ two: 20 });
    await mesh.apply("rule.yaml", rule("a", "*.example.com", "one"));
    expect(await tally(20, tcp)).toEqual({ one: 20 });
  });

  it("hold at the gateways that they name", async () => {
    covers("VirtualService", "tcp[].match[].gateways");
    await apply(
      "db.example.com",
      `  tcp:
  - match: [{gateways: [gw], port: ${TCP_PORT}}]
    route: ${to("db", "two")}
  - route: ${to("db", "one")}
`,
      "  gateways: [mesh, gw]\n",
    );
    expect([await tcp(), await tcp(gateway), await tcp(gateway, SECOND_PORT)]).toEqual(["one", "two", "one"]);
  });
});

describe("tls rules", () => {
  it("tell connections apart by the server name, in whole or by its end", async () => {
    covers(
      "VirtualService",
      "tls",
      "tls[].match",
      "tls[].match[].sniHosts",
      "tls[].route",
      "tls[].route[].destination",
    );
    covers("VirtualService", "tls[].route[].destination.host", "tls[].route[].destination.subset");
    await apply(
      'a.example.com, b.example.com, "*.wild.example.com"',
      `  tls:
  - match: [{sniHosts: [a.example.com]}]
    route: ${to("a", "one")}
  - match: [{sniHosts: [b.example.com, "*.wild.example.com"]}]
    route: ${to("a", "two")}
`,
    );
    expect(await tally(20, () => tls("a.example.com"))).toEqual({ one: 20 });
    expect(await tally(20, () => tls("b.example.com"))).toEqual({ two: 20 });
    expect(await tally(20, () => tls("x.wild.example.com"))).toEqual({ two: 20 });
    expect(await tls("c.example.com")).toBe("closed");
  });

  it("split by weight, and leave to the first rule what two speak of", async () => {
    covers("VirtualService", "tls[].route[].weight");
    await apply(
      "a.example.com, b.example.com",
      `  tls:
  - match: [{sniHosts: [a.example.com]}]
    route:
    - {destination: {host: a.example.com, subset: one}, weight: 1}
    - {destination: {host: a.example.com, subset: two}, weight: 3}
  - match: [{sniHosts: [a.example.com, b.example.com]}]
    route: ${to("a", "one")}
`,
    );
    // Six standard deviations of a binomial of 200 at 0.75.
    expect(Math.abs(((await tally(200, () => tls("a.example.com"))).two ?? 0) - 150)).toBeLessThan(37);
    expect(await tally(20, () => tls("b.example.com"))).toEqual({ one: 20 });
  });

  it("hold for the port, the client, the gateways and the destination that they name", async () => {
    covers("VirtualService", "tls[].match[].port", "tls[].match[].sourceLabels", "tls[].match[].sourceNamespace");
    covers("VirtualService", "tls[].match[].gateways", "tls[].match[].destinationSubnets");
    covers("VirtualService", "tls[].route[].destination.port", "tls[].route[].destination.port.number");
    const rule = (condition: string) =>
      apply(
        "a.example.com",
        `  tls:
  - match: [{sniHosts: [a.example.com], ${condition}}]
    route: [{destination: {host: a.example.com, subset: two, port: {number: ${TLS_PORT}}}}]
  - match: [{sniHosts: [a.example.com]}]
    route: ${to("a", "one")}
`,
        "  gateways: [mesh, gw]\n",
      );
    const answers = async () => [await tls("a.example.com"), await tls("a.example.com", elsewhere)];
    for (const [condition, here, there] of [
      [`port: ${TLS_PORT}`, "two", "two"],
      ["port: 9999", "one", "one"],
      ["sourceLabels: {app: client}", "two", "one"],
      ["sourceNamespace: elsewhere", "one", "two"],
      ["gateways: [gw]", "one", "one"],
      ["gateways: [mesh]", "two", "two"],
      ["destinationSubnets: [10.0.0.0/8]", "one", "one"],
    ] as const) {
      await rule(condition);
      expect(await answers(), condition).toEqual([here, there]);
    }
    await rule(`destinationSubnets: [10.0.0.0/8, ${sidecar.address}/32]`);
    expect(await answers()).toEqual(["two", "one"]);
  });
});
