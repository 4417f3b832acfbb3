// What Gateways listen on and for which hosts, field by field, on traffic through real gateways.
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { freePort, loopbackAddress } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { serviceEntry } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { startTcpBackend } from "../harness/tcp-backend.js";

const scope = testScope();
const PORT = 8080;
let mesh: TestMesh;
let gateway: TestProxy;
let other: TestProxy;
/** Its namespace sees what is exported to it. */
let ingress: TestProxy;

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  const [web, raw] = [await startBackend(scope, "web"), await startTcpBackend(scope, "raw")];
  await mesh.apply("web.yaml", serviceEntry("web", { v1: web }));
  await mesh.apply("raw.yaml", serviceEntry("raw", { v1: raw }).replace("protocol: HTTP", "protocol: TCP"));
  [gateway, other, ingress] = await Promise.all([
    mesh.startProxy({ name: "gw", role: "router", labels: { app: "gw", zone: "one" } }),
    mesh.startProxy({ name: "other", role: "router", labels: { app: "gw", zone: "two" } }),
    mesh.startProxy({ name: "in", namespace: "ingress", role: "router", labels: { app: "ingress" } }),
  ]);
});

/** A rejection would leave a proxy with what it had, which may pass for the right thing. */
afterEach(async () => {
  for (const { name, state } of await mesh.proxies()) expect(`${name}: ${state}`).not.toMatch(/rejected|disconnected/);
});

interface GatewayYaml {
  readonly name?: string;
  readonly namespace?: string;
  readonly selector?: string;
  readonly servers: readonly string[];
}

/** A server in YAML flow. */
function http(hosts: string, more = "", port: number = PORT): string {
  return `{port: {number: ${port}, name: http-${port}, protocol: HTTP}, hosts: [${hosts}]${more}}`;
}

function listen(...gateways: readonly GatewayYaml[]): Promise<void> {
  const objects = gateways.map(
    ({ name = "gw", namespace = "default", selector = "{app: gw}", servers }) => `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  selector: ${selector}
  servers:
${servers.map((server) => `  - ${server}\n`).join("")}`,
  );
  return mesh.apply("gateways.yaml", objects.join("---\n"));
}

interface RuleYaml {
  readonly name?: string;
  readonly namespace?: string;
  readonly hosts?: string;
  readonly gateways?: string;
  readonly exportTo?: string;
  /** YAML of the http rules, indented by two; answers with the VirtualService's name by default. */
  readonly rules?: string;
}

function rule(fields: RuleYaml = {}): string {
  const { name = "rule", namespace = "default", hosts = '"*"', gateways = "gw", exportTo, rules = says(name) } = fields;
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  hosts: [${hosts}]
  gateways: [${gateways}]
${exportTo ? `  exportTo: [${exportTo}]\n` : ""}  http:
${rules}`;
}

function says(text: string, match = ""): string {
  return `  - ${match ? `match: [${match}]\n    ` : ""}directResponse: {status: 200, body: {string: ${text}}}\n`;
}

function bind(...rules: readonly string[]): Promise<void> {
  return mesh.apply("rules.yaml", rules.join("---\n"));
}

/** What answers for a host: the body, the status where there is none, or "closed" where nothing listens. */
async function answer(host: string, proxy: { address: string } = gateway, port = PORT, path = "/"): Promise<string> {
  try {
    const { status, body } = await ask(`http://${proxy.address}:${port}${path}`, { headers: { host } });
    return body === "" ? String(status) : body;
  } catch {
    return "closed";
  }
}

function answers(...hosts: readonly string[]): Promise<string[]> {
  return Promise.all(hosts.map((host) => answer(host)));
}

describe("a Gateway", () => {
  it("is served by the proxies whose labels its selector names, on each of its servers' ports", async () => {
    covers("Gateway", "selector", "servers", "servers[].port", "servers[].port.number");
    await bind(rule());
    await listen({ selector: "{app: gw, zone: two}", servers: [http('"*"'), http('"*"', "", 8082)] });
    expect([await answer("a.com"), await answer("a.com", other), await answer("a.com", other, 8082)]).toEqual([
      "closed",
      "rule",
      "rule",
    ]);
    await listen({ servers: [http('"*"')] });
    expect([await answer("a.com"), await answer("a.com", other), await answer("a.com", other, 8082)]).toEqual([
      "rule",
      "rule",
      "closed",
    ]);
  });

  it("reads what comes in by its servers' protocols", async () => {
    covers("Gateway", "servers[].port.protocol", "servers[].port.name");
    const tcp = '{port: {number: 8083, name: raw, protocol: TCP}, hosts: ["*"]}';
    await bind(
      `${rule({ rules: "  - route: [{destination: {host: web}}]\n" })}  tcp: [{match: [{port: 8083}], route: [{destination: {host: raw}}]}]\n`,
    );
    await listen({ servers: [http('"*"'), tcp] });
    expect(JSON.parse(await answer("a.com")).backend).toBe("web");
    const socket = connect({ host: gateway.address, port: 8083 });
    const [line] = await once(socket, "data");
    expect(String(line)).toBe("raw\n");
    socket.destroy();
  });

  it("listens on the address that a server binds, each with its own rules", async () => {
    covers("Gateway", "servers[].bind");
    const address = await loopbackAddress(scope);
    const port = await freePort(address);
    await bind(rule(), rule({ name: "bound", gateways: "bound" }));
    const bound = http('"*"', `, bind: ${address}`, port);
    await listen(
      { servers: [http('"*"', "", port)], selector: "{zone: one}" },
      { name: "bound", servers: [bound], selector: "{zone: one}" },
    );
    expect([await answer("a.com", gateway, port), await answer("a.com", { address }, port)]).toEqual(["rule", "bound"]);
  });

  it("keeps statistics under a server's name", async () => {
    covers("Gateway", "servers[].name");
    await bind(rule());
    await listen({ servers: [http('"*"', ", name: shop-front")] });
    const requests = () => gateway.stat("http.shop-front.downstream_rq_completed");
    const before = await requests();
    await answer("a.com");
    expect((await requests()) - before).toBe(1);
  });
});

describe("a server's hosts", () => {
  it("are names, wildcards or all, and limit what VirtualServices serve", async () => {
    covers("Gateway", "servers[].hosts");
    await bind(rule({ name: "all" }));
    await listen({ servers: [http('a.com, "*.b.com"')] });
    expect(await answers("a.com", "x.b.com", "x.y.b.com", "b.com", "x.a.com")).toEqual([
      "all",
      "all",
      "all",
      "404",
      "404",
    ]);
    await bind(rule({ hosts: '"*.com"' }), rule({ name: "exact", hosts: "x.b.com, c.com" }));
    expect(await answers("a.com", "x.b.com", "y.b.com", "c.com")).toEqual(["rule", "exact", "rule", "404"]);
    expect(await answers("A.com", "a.com:8080", "a.com.")).toEqual(["rule", "rule", "rule"]);
  });

  it("may name the namespaces whose VirtualServices are served", async () => {
    const own = rule({ hosts: "a.com" });
    const foreign = rule({ name: "foreign", namespace: "far", hosts: "b.com", gateways: "default/gw" });
    await bind(own, foreign);
    for (const [hosts, expected] of [
      ['"*/*"', ["rule", "foreign"]],
      ['"./*"', ["rule", "404"]],
      ['"far/*"', ["404", "foreign"]],
      ['"far/a.com", "default/a.com"', ["rule", "404"]],
    ] as const) {
      await listen({ servers: [http(hosts)] });
      expect(await answers("a.com", "b.com"), hosts).toEqual(expected);
    }
  });

  it("are redirected to https where httpsRedirect says so, and only those", async () => {
    covers("Gateway", "servers[].tls.httpsRedirect");
    const locationOf = async (host: string) => {
      const { status, headers } = await ask(`http://${gateway.address}:${PORT}/x?y=z`, { headers: { host } });
      return `${status} ${headers.location ?? ""}`;
    };
    await bind(rule({ hosts: "a.com" }), rule({ name: "second", hosts: "c.com", gateways: "gw-2" }));
    await listen(
      { servers: [http('"*.com", a.com', ", tls: {httpsRedirect: true}")] },
      { name: "gw-2", servers: [http("c.com")] },
    );
    expect([await locationOf("a.com"), await locationOf("b.com")]).toEqual([
      "301 https://a.com/x?y=z",
      "301 https://b.com/x?y=z",
    ]);
    expect(await answers("c.com", "d.org")).toEqual(["second", "404"]);
  });
});

describe("VirtualServices at a gateway", () => {
  it("for one host merge, the oldest first and catch-alls last", async () => {
    await listen({ servers: [http('"*"')] });
    const hosts = "shop.com";
    const [first, second] = [says("first", "{uri: {prefix: /a}}"), says("second", "{uri: {prefix: /b}}")];
    await bind(
      rule({ name: "one", hosts, rules: first + says("rest") }),
      rule({ name: "two", hosts, rules: second + says("never") }),
    );
    const at = (path: string) => answer("shop.com", gateway, PORT, path);
    expect([await at("/a"), await at("/b"), await at("/c")]).toEqual(["first", "second", "rest"]);
  });

  it("bound to several Gateways of one port serve each Gateway's hosts", async () => {
    covers("VirtualService", "gateways");
    await listen({ servers: [http("a.com")] }, { name: "gw-2", servers: [http("b.com, c.com")] });
    await bind(rule({ hosts: "a.com, b.com", gateways: "gw, default/gw-2" }), rule({ name: "one", hosts: "c.com" }));
    expect(await answers("a.com", "b.com", "c.com")).toEqual(["rule", "rule", "404"]);
  });

  it("match by the Gateway and the port that a request came through", async () => {
    covers("VirtualService", "http[].match[].gateways", "http[].match[].port");
    await listen({ servers: [http("a.com"), http('"*"', "", 8082)] }, { name: "gw-2", servers: [http("b.com")] });
    await bind(
      rule({
        gateways: "gw, gw-2",
        rules: says("by-port", "{port: 8082}") + says("by-gateway", "{gateways: [gw-2]}") + says("rest"),
      }),
    );
    expect(await answers("a.com", "b.com")).toEqual(["rest", "by-gateway"]);
    expect(await answer("a.com", gateway, 8082)).toBe("by-port");
  });

  it("are served where exportTo shows them to the Gateway's namespace", async () => {
    covers("VirtualService", "exportTo");
    await listen({ namespace: "ingress", selector: "{app: ingress}", servers: [http('"*"')] });
    for (const [exportTo, expected] of [
      ['"*"', "rule"],
      ["ingress", "rule"],
      ['"."', "404"],
    ] as const) {
      await bind(rule({ gateways: "ingress/gw", exportTo }));
      // A gateway without any host has no route configuration to wait for.
      expect(await answer("a.com", ingress), exportTo).toBe(expected);
    }
  });
});
