// WasmPlugins in real Envoys: who runs them, in which order, with what, and what becomes of requests when they break.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type Backend, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { tracingPlugin } from "../harness/filter-modules.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { createScope, testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
let file: string;
let sha256: string;

beforeAll(async () => {
  const wasm = await tracingPlugin();
  file = join(await scope.directory(), "tracing-plugin.wasm");
  await writeFile(file, wasm);
  sha256 = createHash("sha256").update(wasm).digest("hex");
});

/** One workload with a sidecar, behind the service "a", called through the sidecar of "client"; for one test. */
async function startPair(): Promise<{ mesh: TestMesh; backend: Backend; client: TestProxy; server: TestProxy }> {
  const own = createScope();
  onTestFinished(() => own.close());
  const mesh = await startTestMesh(own);
  const backend = await startBackend(own, "a");
  const server = await mesh.startProxy({ name: "a", labels: { app: "a" } });
  const client = await mesh.startProxy({ name: "client", labels: { app: "client" } });
  await mesh.apply("services.yaml", services(server.address, backend.port));
  return { mesh, backend, client, server };
}

function services(address: string, port: number): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.example.com]
  resolution: STATIC
  location: MESH_INTERNAL
  ports: [{number: 9080, name: http, protocol: HTTP, targetPort: 9081}]
  endpoints: [{address: ${address}, labels: {app: a}}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: a}
spec:
  workloadSelector: {labels: {app: a}}
  ingress: [{port: {number: 9081, name: http, protocol: HTTP}, defaultEndpoint: 127.0.0.1:${port}}]
`;
}

interface Plugin {
  readonly name: string;
  readonly namespace?: string;
  /** Fields of the spec as flow YAML, beside url and the configured name. */
  readonly spec?: string;
  readonly config?: string;
}

function plugin({ name, namespace = "default", spec = "", config = `{name: ${name}}` }: Plugin): string {
  return `apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: ${name}, namespace: ${namespace}}
spec: {url: "file://${file}", pluginConfig: ${config}${spec === "" ? "" : `, ${spec}`}}
`;
}

async function request(client: TestProxy, headers: Record<string, string> = {}) {
  const { status, body } = await ask(`http://${client.address}:9080/`, {
    headers: { host: "a.example.com", ...headers },
  });
  const seen = status === 200 ? (JSON.parse(body).headers as Record<string, string>) : {};
  return { status, trail: seen["x-trail"], environment: seen["x-environment"], root: seen["x-root"] };
}

/** The statuses of a request that traps, and of one right behind it on its connection: a VM comes back after a second. */
async function trapped(client: TestProxy): Promise<number[]> {
  const head = (header: string) => `GET / HTTP/1.1\r\nhost: a.example.com\r\n${header}\r\n\r\n`;
  const socket = connect(9080, client.address);
  socket.write(head("x-trap: now") + head("connection: close"));
  return [...(await text(socket)).matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status));
}

describe("a WasmPlugin", () => {
  it("runs in the proxies that it selects, in the order of phase and priority", async () => {
    covers("WasmPlugin", "selector.matchLabels", "url", "pluginConfig", "phase", "priority");
    const { mesh, client } = await startPair();
    const select = "selector: {matchLabels: {app: client}}";
    await mesh.apply(
      "plugins.yaml",
      [
        plugin({ name: "last", spec: select }),
        plugin({ name: "stats", spec: `${select}, phase: STATS` }),
        plugin({ name: "authz", spec: `${select}, phase: AUTHZ, priority: 7` }),
        plugin({ name: "authn", spec: `${select}, phase: AUTHN` }),
        plugin({ name: "authz-low", spec: `${select}, phase: AUTHZ, priority: -1` }),
        plugin({ name: "everywhere", namespace: "istio-system", spec: "phase: AUTHN, priority: -5" }),
        plugin({ name: "elsewhere", namespace: "other", spec: "phase: AUTHN" }),
        plugin({ name: "others", spec: "selector: {matchLabels: {app: nobody}}" }),
      ].join("---\n"),
    );
    const expected = "authn,everywhere,authz,authz-low,stats,last,everywhere";
    await eventually("all plugins run", async () => (await request(client)).trail === expected);
    expect(await mesh.violations()).toEqual([]);
  });

  it("sees the traffic that one of its matches says, by direction and port", async () => {
    covers("WasmPlugin", "match[].mode", "match[].ports[].number");
    const { mesh, client } = await startPair();
    const match = (name: string, selector: string) => plugin({ name, spec: `match: [${selector}], phase: AUTHN` });
    await mesh.apply(
      "plugins.yaml",
      [
        match("asks", "{mode: CLIENT}"),
        match("asked", "{mode: SERVER}"),
        match("both", "{mode: CLIENT_AND_SERVER, ports: [{number: 9080}, {number: 9081}]}"),
        match("either", "{mode: SERVER, ports: [{number: 1}]}, {mode: CLIENT, ports: [{number: 9080}]}"),
        match("other-port", "{ports: [{number: 9082}]}"),
      ].join("---\n"),
    );
    const expected = "asks,both,either,asked,both";
    await eventually("the plugins see their traffic", async () => (await request(client)).trail === expected);
  });

  it("has its environment and its root id, and takes new ones without a listener's change", async () => {
    covers("WasmPlugin", "vmConfig.env[].name", "vmConfig.env[].value", "vmConfig.env[].valueFrom", "pluginName");
    const { mesh, client } = await startPair();
    const spec = (value: string, root: string) =>
      `selector: {matchLabels: {app: client}}, pluginName: ${root}, vmConfig: {env: [{name: PLACE, value: ${value}}, {name: HOME, valueFrom: HOST}, {name: HEADGATE_UNSET, valueFrom: HOST}]}`;
    await mesh.apply("plugin.yaml", plugin({ name: "p", spec: spec("here", "one") }));
    await eventually("the plugin runs", async () => (await request(client)).root === "one");
    const { environment = "" } = await request(client);
    expect(environment.split(";").filter(Boolean).sort()).toEqual([`HOME=${process.env.HOME}`, "PLACE=here"]);
    const listenerChanges = await client.stat("listener_manager.listener_modified");
    await mesh.apply("plugin.yaml", plugin({ name: "p", spec: spec("there", "two"), config: "{name: changed}" }));
    await eventually("the plugin has what is new", async () => {
      const { trail, root, environment = "" } = await request(client);
      return trail === "changed" && root === "two" && environment.includes("PLACE=there");
    });
    expect(await client.stat("listener_manager.listener_modified")).toBe(listenerChanges);
  });

  it("lets requests by or refuses them, by its failStrategy, while it has no module", async () => {
    covers("WasmPlugin", "sha256");
    const { mesh, client } = await startPair();
    const wrong = (strategy: string) =>
      plugin({
        name: "p",
        spec: `selector: {matchLabels: {app: client}}, sha256: "${"0".repeat(64)}", failStrategy: ${strategy}`,
      });
    const right = plugin({ name: "p", spec: `selector: {matchLabels: {app: client}}, sha256: "${sha256}"` });
    await mesh.apply("plugin.yaml", wrong("FAIL_CLOSE"));
    await eventually("requests are refused", async () => (await request(client)).status === 503);
    await eventually("the checksum is told of", async () => (await mesh.violations())[0]?.code === "unknown-module");
    expect((await mesh.violations())[0]).toMatchObject({ path: "spec.url", message: expect.stringContaining(sha256) });
    await mesh.apply("plugin.yaml", wrong("FAIL_OPEN"));
    await eventually("requests go by", async () => (await request(client)).status === 200);
    await mesh.apply("plugin.yaml", right);
    await eventually("the plugin runs", async () => (await request(client)).trail === "p");
    expect(await mesh.violations()).toEqual([]);
  });

  it("keeps what it had when a new version of it is refused", async () => {
    const { mesh, client } = await startPair();
    const select = "selector: {matchLabels: {app: client}}";
    await mesh.apply("plugin.yaml", plugin({ name: "p", spec: select }));
    await eventually("the plugin runs", async () => (await request(client)).trail === "p");
    await mesh.apply("plugin.yaml", plugin({ name: "p", spec: select, config: "{name: refused}" }));
    await eventually("the refusal is told of", async () => (await mesh.violations())[0]?.code === "refused-module");
    expect((await request(client)).trail).toBe("p");
    expect((await mesh.violations())[0]?.message).toContain("filter-does-not-start");
  });

  it.each([
    ["FAIL_CLOSE", 503],
    ["FAIL_OPEN", 200],
  ])("that only Envoy refuses lets it start all the same, and requests have what %s says", async (strategy, status) => {
    const { mesh } = await startPair();
    const env = "vmConfig: {env: [{name: PLACE, value: here}]}";
    const spec = `selector: {matchLabels: {app: late}}, failStrategy: ${strategy}, ${env}`;
    await mesh.apply("plugin.yaml", plugin({ name: "p", spec, config: "{name: alone}" }));
    const late = await mesh.startProxy({ name: "late", labels: { app: "late" } });
    const rejected = "extension_config_discovery.http_filter.extensions.istio.io/wasmplugin/default.p.update_rejected";
    // Until the plugin comes, requests are answered in the same way.
    await eventually("Envoy refuses it", async () => (await late.stat(rejected)) > 0);
    expect((await request(late)).status).toBe(status);
  });

  it.each([
    ["FAIL_CLOSE", 503, 503],
    ["FAIL_OPEN", 200, 200],
    ["FAIL_RELOAD", 503, 200],
  ])("that traps leaves requests as %s says", async (strategy, next, later) => {
    covers("WasmPlugin", "failStrategy");
    const { mesh, client } = await startPair();
    const spec = `selector: {matchLabels: {app: client}}, failStrategy: ${strategy}`;
    await mesh.apply("plugin.yaml", plugin({ name: "p", spec }));
    await eventually("the plugin runs", async () => (await request(client)).trail === "p");
    expect(await trapped(client)).toEqual([503, next]);
    await eventually("it is what it stays", async () => (await request(client)).status === later);
  });

  it("comes by HTTP, again when it changes and is always to be pulled", async () => {
    covers("WasmPlugin", "imagePullPolicy");
    const { mesh, client } = await startPair();
    const server = await startModuleServer();
    const spec = (policy: string, name: string) => `apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: p}
spec: {selector: {matchLabels: {app: client}}, url: "${server.url}", imagePullPolicy: ${policy}, pluginConfig: {name: ${name}}}
`;
    for (const [index, policy] of ["Always", "Always", "IfNotPresent", "IfNotPresent"].entries()) {
      await mesh.apply("plugin.yaml", spec(policy, `p${index}`));
      await eventually("the plugin runs", async () => (await request(client)).trail === `p${index}`);
    }
    expect(server.asked()).toBe(2);
  });

  it("stands in a gateway's chain, where all traffic is of the mode CLIENT", async () => {
    const { mesh, server } = await startPair();
    const gateway = await mesh.startProxy({ name: "gw", role: "router", labels: { istio: "gw" } });
    await mesh.apply("gateway.yaml", GATEWAY);
    const select = "selector: {matchLabels: {istio: gw}}";
    const plugins = [
      plugin({ name: "edge", spec: `${select}, match: [{mode: CLIENT, ports: [{number: 8080}]}]` }),
      plugin({ name: "never", spec: `${select}, match: [{mode: SERVER}]` }),
    ];
    await mesh.apply("plugins.yaml", plugins.join("---\n"));
    await eventually("the plugin runs", async () => {
      const { status, body } = await ask(`http://${gateway.address}:8080/`, { headers: { host: "a.example.com" } });
      return status === 200 && JSON.parse(body).headers["x-trail"] === "edge";
    });
    expect((await mesh.violations()).map(({ code, name }) => [code, name])).toEqual([["ignored-field", "never"]]);
    expect(server.process.pid).toBeGreaterThan(0);
  });
});

describe("a TrafficExtension", () => {
  it("runs a script in its place among modules, and lets requests by one that is none", async () => {
    covers("TrafficExtension", "lua.inlineCode");
    const { mesh, client } = await startPair();
    const script = (code: string) => `apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata: {name: s}
spec:
  selector: {matchLabels: {app: client}}
  phase: AUTHN
  priority: 1
  lua:
    inlineCode: |
      ${code}
`;
    const adding = (name: string) =>
      script(`function envoy_on_request(handle) handle:headers():add("x-trail", "${name}") end`);
    const select = "selector: {matchLabels: {app: client}}";
    await mesh.apply("plugin.yaml", plugin({ name: "after", spec: select }));
    await mesh.apply("script.yaml", script("this is no Lua"));
    await eventually("the module runs alone", async () => (await request(client)).trail === "after");
    await mesh.apply("script.yaml", adding("script"));
    await eventually("both run", async () => (await request(client)).trail === "script,after");
    const listenerChanges = await client.stat("listener_manager.listener_modified");
    await mesh.apply("script.yaml", adding("changed"));
    await eventually("the changed one runs", async () => (await request(client)).trail === "changed,after");
    expect(await client.stat("listener_manager.listener_modified")).toBe(listenerChanges);
  });

  it("runs a module as a WasmPlugin does, and stands in one order with those", async () => {
    covers("TrafficExtension", "selector.matchLabels", "phase", "priority", "match[].mode", "match[].ports[].number");
    covers("TrafficExtension", "wasm.url", "wasm.sha256", "wasm.pluginConfig", "wasm.pluginName", "wasm.failStrategy");
    covers("TrafficExtension", "wasm.imagePullPolicy", "wasm.vmConfig.env[].name", "wasm.vmConfig.env[].value");
    covers("TrafficExtension", "wasm.vmConfig.env[].valueFrom", "wasm.type");
    const { mesh, client } = await startPair();
    const extension = `apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata: {name: e}
spec:
  selector: {matchLabels: {app: client}}
  phase: AUTHN
  priority: 5
  match: [{mode: CLIENT, ports: [{number: 9080}]}]
  wasm:
    url: file://${file}
    sha256: "${sha256}"
    imagePullPolicy: IfNotPresent
    pluginName: root
    pluginConfig: {name: extension}
    failStrategy: FAIL_OPEN
    type: HTTP
    vmConfig: {env: [{name: PLACE, value: here}, {name: HEADGATE_UNSET, valueFrom: HOST}]}
`;
    const before = plugin({ name: "before", spec: "phase: AUTHN, priority: 6, match: [{mode: CLIENT}]" });
    const after = plugin({ name: "after", spec: "phase: AUTHN, priority: 4, match: [{mode: CLIENT}], type: HTTP" });
    covers("WasmPlugin", "type");
    await mesh.apply("extensions.yaml", [before, after, extension].join("---\n"));
    await eventually("all run", async () => (await request(client)).trail === "before,extension,after");
    expect((await request(client, { "x-trap": "now" })).status).toBe(503);
  });
});

const GATEWAY = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: gw}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a.example.com]
  gateways: [gw]
  http: [{route: [{destination: {host: a.example.com, port: {number: 9080}}}]}]
`;

/** Serves the tracing plugin, by way of a redirect. */
async function startModuleServer() {
  const wasm = await tracingPlugin();
  let asked = 0;
  const server = createServer((request, response) => {
    if (request.url === "/plugin.wasm") asked++;
    if (request.url === "/plugin.wasm") response.end(wasm);
    else response.writeHead(302, { location: "/plugin.wasm" }).end();
  }).listen(0, "127.0.0.1");
  scope.use({ close: () => server.close() });
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/latest`, asked: () => asked };
}
