// Capture: a workload's connections are redirected by envoy/capture.sh in a network namespace, to a real sidecar there.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createBootstrap } from "../../controlplane/agent/bootstrap.js";
import { packagePath } from "../../controlplane/agent/package-root.js";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestEnvoy, type TestEnvoy, testEnvoyBinary } from "../harness/envoy.js";
import { startTestMesh, type TestMesh } from "../harness/mesh.js";
import { createNamespace, type NetworkNamespace, namespaceObstacle } from "../harness/network-namespace.js";
import { testScope } from "../harness/scope.js";
import { startTcpBackend } from "../harness/tcp-backend.js";
import { eventually } from "../harness/waiting.js";

const obstacle = await namespaceObstacle();
if (obstacle) console.warn(`capture is not tested: ${obstacle}`);

const EXCLUDED_PORT = 7001;
const CLUSTER_IP = "10.255.7.1";
const CLUSTER_IP_6 = "fd48:ffff::7";
const script = packagePath("envoy", "capture.sh");

describe.skipIf(obstacle !== undefined)("a captured workload", () => {
  const scope = testScope();
  let mesh: TestMesh;
  let space: NetworkNamespace;
  let sidecar: TestEnvoy;

  beforeAll(async () => {
    space = await createNamespace(scope);
    mesh = await startTestMesh(scope);
    for (const [name, port] of [
      ["v1", 7101],
      ["v2", 7102],
      ["direct", EXCLUDED_PORT],
      ["anywhere", 7002],
      ["same port", 9080],
      ["none", 9081],
      ["six", 7006],
    ] as const) {
      await startBackend(scope, name, { host: name === "six" ? space.outside6 : space.outside, port });
    }
    await startTcpBackend(scope, "tcp", { host: space.outside, port: 7300 });
    await mesh.apply("mesh.yaml", meshYaml());
    await startWorkload();
    await capture();
    sidecar = await startSidecar();
  });

  function meshYaml(): string {
    return `apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {clusterIPs: ["${CLUSTER_IP}", "${CLUSTER_IP_6}"], ports: [{name: http, port: 9080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews-1, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{name: http, port: 7101}]
endpoints: [{addresses: ["${space.outside}"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: jasons.example.com}}]
  - route: [{destination: {host: reviews}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: jasons}
spec:
  hosts: [jasons.example.com]
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints: [{address: ${space.outside}, ports: {http: 7102}}]
---
apiVersion: v1
kind: Service
metadata: {name: own}
spec: {clusterIP: 10.255.7.2, selector: {app: own}, ports: [{name: http, port: 9080, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: own-1, labels: {app: own}}
status: {podIPs: [{ip: ${space.address}}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: block}
spec:
  hosts: [block.example.com]
  addresses: [10.255.9.0/24]
  resolution: STATIC
  ports: [{number: 9300, name: tcp, protocol: TCP}]
  endpoints: [{address: ${space.outside}, ports: {tcp: 7300}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: none}
spec:
  hosts: ["*.example.net"]
  ports: [{number: 9081, name: http, protocol: HTTP}]
`;
  }

  /** A server on 8080, which a service names, and on 8081, which none names. */
  async function startWorkload(): Promise<void> {
    const program = `for (const port of [8080, 8081]) require("node:http")
      .createServer((_, response) => response.end("workload " + port)).listen(port, "::", () => console.log(port))`;
    const child = spawn("ip", ["netns", "exec", space.name, process.execPath, "-e", program]);
    scope.use({ close: () => child.kill("SIGKILL") });
    await once(child.stdout, "data");
  }

  /** ADS in the clear is for loopback alone; this is the port by which the namespace gets to it. */
  async function relay(to: string): Promise<number> {
    const [host = "", port = ""] = to.split(":");
    const server = createServer((socket) => {
      const onward = connect(Number(port), host);
      socket.pipe(onward).pipe(socket);
      for (const end of [socket, onward]) end.on("error", () => [socket, onward].map((one) => one.destroy()));
    });
    server.listen(0, space.outside);
    scope.use({ close: () => void server.close() });
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }

  /** Envoy runs as root here, the client as nobody. */
  function capture(...args: string[]): Promise<string> {
    const excluded = ["--exclude-outbound-ports", String(EXCLUDED_PORT)];
    return space.exec("sh", script, "--proxy-uid", "0", ...excluded, ...args);
  }

  async function startSidecar(): Promise<TestEnvoy> {
    const binary = join(await scope.directory(), "envoy");
    await writeFile(binary, `#!/bin/sh\nexec ip netns exec ${space.name} ${await testEnvoyBinary()} "$@"\n`);
    await chmod(binary, 0o755);
    const identity = {
      role: "sidecar" as const,
      name: "own-1",
      namespace: "default",
      addresses: [space.address, space.address6] as const,
      labels: { app: "own" },
      interceptionMode: "REDIRECT" as const,
      unprivileged: false,
    };
    const ads = { host: space.outside, port: await relay(mesh.ads) };
    const admin = { host: space.address, port: 15000 };
    return startTestEnvoy(
      scope,
      createBootstrap({ ...identity, addresses: [space.address, space.address6] }, { ads, admin }),
      { binary },
    );
  }

  /** What the workload's client gets: the backend's name, else the body or status, else curl's exit code. */
  async function curl(url: string, ...args: string[]): Promise<string> {
    const command = [
      "setpriv",
      "--reuid",
      "65534",
      "--clear-groups",
      "curl",
      "-s",
      "-g",
      "-m",
      "10",
      "-w",
      "\n%{http_code}",
    ];
    const printed = await space.exec(...command, ...args, url).catch((error) => `curl ${error.code}\n`);
    const [status = "", ...body] = printed.split("\n").reverse();
    const text = body.reverse().join("\n");
    if (text.startsWith("{")) return JSON.parse(text).backend;
    return text === "" ? `status ${status}` : text;
  }

  const accepted = () => sidecar.stat("listener.0.0.0.0_15001.downstream_cx_total");

  it("reaches a service by its cluster IP, routed by the VirtualService, by IPv4 and IPv6", async () => {
    expect(await curl(`http://${CLUSTER_IP}:9080/`)).toBe("v1");
    expect(await curl(`http://${CLUSTER_IP}:9080/`, "-H", "end-user: jason")).toBe("v2");
    expect(await curl(`http://[${CLUSTER_IP_6}]:9080/`)).toBe("v1");
    expect(await curl(`http://[${CLUSTER_IP_6}]:9080/`, "-H", "end-user: jason")).toBe("v2");
  });

  it("reaches excluded ports and blocks directly, without the sidecar", async () => {
    const before = await accepted();
    expect(await curl(`http://${space.outside}:${EXCLUDED_PORT}/`)).toBe("direct");
    expect(await accepted()).toBe(before);
    await capture("--exclude-outbound-cidrs", `${space.outside}/32,${space.outside6}/128`);
    expect(await curl(`http://${space.outside}:7002/`)).toBe("anywhere");
    expect(await curl(`http://[${space.outside6}]:7006/`)).toBe("six");
    expect(await accepted()).toBe(before);
    await capture("--include-outbound-cidrs", "10.255.7.0/24");
    expect(await curl(`http://${space.outside}:7002/`)).toBe("anywhere");
    expect(await accepted()).toBe(before);
    expect(await curl(`http://${CLUSTER_IP}:9080/`)).toBe("v1");
    await capture();
    expect(await curl(`http://${space.outside}:7002/`)).toBe("anywhere");
    expect(await accepted()).toBe(before + 1);
  });

  it("passes through the sidecar to what is not in the mesh with ALLOW_ANY", async () => {
    covers("Sidecar", "outboundTrafficPolicy.mode");
    const passed = await sidecar.stat("cluster.PassthroughCluster.upstream_cx_total");
    expect(await curl(`http://${space.outside}:7002/`)).toBe("anywhere");
    expect(await curl(`http://${space.outside}:9080/`, "-H", "host: stranger.example.com")).toBe("same port");
    expect(await curl(`http://[${space.outside6}]:7006/`)).toBe("six");
    expect(await sidecar.stat("cluster.PassthroughCluster.upstream_cx_total")).toBe(passed + 3);
  });

  it("is refused with 502, or closed, with REGISTRY_ONLY", async () => {
    covers("Sidecar", "outboundTrafficPolicy", "outboundTrafficPolicy.mode");
    await mesh.apply(
      "sidecar.yaml",
      `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}
`,
    );
    // 52: the server said nothing; 56: it reset the connection.
    expect(await curl(`http://${space.outside}:7002/`)).toMatch(/^curl 5[26]/);
    expect(await sidecar.stat("cluster.BlackHoleCluster.upstream_cx_none_healthy")).toBe(1);
    expect(await curl(`http://${space.outside}:9080/`, "-H", "host: stranger.example.com")).toBe("status 502");
    expect(await curl(`http://${CLUSTER_IP}:9080/`)).toBe("v1");
    await mesh.remove("sidecar.yaml");
  });

  it("is called through the sidecar, on ports of services and on others, by IPv4 and IPv6", async () => {
    const inbound = await sidecar.stat("cluster.inbound|8080||.upstream_rq_total");
    const passed = await sidecar.stat("cluster.InboundPassthroughCluster.upstream_cx_total");
    for (const host of [space.address, `[${space.address6}]`]) {
      expect((await ask(`http://${host}:8080/`)).body).toBe("workload 8080");
      expect((await ask(`http://${host}:8081/`)).body).toBe("workload 8081");
    }
    expect(await sidecar.stat("cluster.inbound|8080||.upstream_rq_total")).toBe(inbound + 2);
    expect(await sidecar.stat("cluster.InboundPassthroughCluster.upstream_cx_total")).toBe(passed + 2);
  });

  it("calls itself by its service's address once through each half of the sidecar, without a loop", async () => {
    const sent = await sidecar.stat("http.outbound_9080.downstream_rq_total");
    const inbound = await sidecar.stat("cluster.inbound|8080||.upstream_rq_total");
    expect(await curl("http://10.255.7.2:9080/")).toBe("workload 8080");
    expect(await curl("http://127.0.0.1:8081/")).toBe("workload 8081");
    expect(await sidecar.stat("http.outbound_9080.downstream_rq_total")).toBe(sent + 1);
    expect(await sidecar.stat("cluster.inbound|8080||.upstream_rq_total")).toBe(inbound + 1);
    // What is sent to the capturing listeners themselves ends there.
    const passed = await sidecar.stat("cluster.PassthroughCluster.upstream_cx_total");
    for (const port of [15001, 15006]) expect(await curl(`http://${space.address}:${port}/`)).toMatch(/^curl 5[26]/);
    expect(await sidecar.stat("cluster.PassthroughCluster.upstream_cx_total")).toBe(passed);
  });

  it("reaches TCP services by a block of addresses, and HTTP ones without endpoints where it was going", async () => {
    covers("ServiceEntry", "addresses", "resolution");
    expect(await curl("telnet://10.255.9.77:9300", "--max-time", "1")).toContain("curl 28");
    expect(await sidecar.stat("cluster.outbound|9300||block.example.com.upstream_cx_total")).toBe(1);
    expect(await curl("http://any.example.net:9081/", "--resolve", `any.example.net:9081:${space.outside}`)).toBe(
      "none",
    );
    expect(await sidecar.stat("cluster.outbound|9081||*.example.net.upstream_rq_total")).toBe(1);
  });

  it("goes where it was going with the load balancer PASSTHROUGH", async () => {
    covers("DestinationRule", "trafficPolicy.loadBalancer.simple");
    await mesh.apply(
      "passthrough.yaml",
      `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: jasons}
spec: {host: jasons.example.com, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}
`,
    );
    const url = "http://jasons.example.com:9080/";
    expect(await curl(url, "--resolve", `jasons.example.com:9080:${space.outside}`)).toBe("same port");
    await mesh.remove("passthrough.yaml");
    expect(await curl(url, "--resolve", `jasons.example.com:9080:${space.outside}`)).toBe("v2");
  });

  it("has listeners of its own beside the captured ones where its Sidecar says NONE", async () => {
    covers("Sidecar", "egress[].captureMode", "egress[].bind", "ingress[].captureMode", "ingress[].bind");
    await mesh.apply(
      "sidecar.yaml",
      `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default}
spec:
  ingress:
  - {port: {number: 8090, protocol: HTTP, name: http}, bind: 127.0.0.1, captureMode: NONE, defaultEndpoint: 127.0.0.1:8080}
  egress:
  - {port: {number: 9080, protocol: HTTP, name: http}, bind: 127.0.0.1, captureMode: NONE, hosts: ["./*"]}
`,
    );
    expect(await curl("http://127.0.0.1:8090/")).toBe("workload 8080");
    expect(await curl("http://127.0.0.1:9080/", "-H", "host: reviews")).toBe("v1");
    await mesh.remove("sidecar.yaml");
    // Envoy closes the socket a moment after it has acknowledged that the listener goes.
    await eventually("nothing listens", async () =>
      (await curl("http://127.0.0.1:9080/", "-H", "host: reviews")).startsWith("curl 7"),
    );
  });

  it("has the same rules when they are installed twice, and none when they are removed", async () => {
    const rules = async () => {
      const saved = await Promise.all(["iptables", "ip6tables"].map((tables) => space.exec(tables, "-t", "nat", "-S")));
      return saved.join("");
    };
    const once = await rules();
    await capture();
    expect(await rules()).toBe(once);
    await capture("--remove");
    expect(await rules()).not.toContain("HEADGATE");
    const before = await accepted();
    expect(await curl(`http://${space.outside}:7002/`)).toBe("anywhere");
    expect(await accepted()).toBe(before);
    await expect(space.exec("sh", script, "--exclude-outbound-ports", "80,x")).rejects.toThrow("no number");
  });
});
