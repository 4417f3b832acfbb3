// Objects of every kind, made, changed and deleted by kubectl, and what real Envoys then do with requests.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { startBackend } from "../harness/backend.js";
import { createAuthority } from "../harness/certificates.js";
import { ask } from "../harness/client.js";
import { tracingPlugin } from "../harness/filter-modules.js";
import { startLoad } from "../harness/load.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "./support/cluster.js";
import { installDefinitions } from "./support/custom-resources.js";
import { ownAddress } from "./support/own-address.js";
import { answered, openShop, SHOP_PORT, type Shop } from "./support/shop.js";

const TLS_PORT = 8443;
/** A host that the sidecar does not know goes where the request says, and there is nobody. */
const UNKNOWN = "502";

describe.skipIf("error" in kubeBinaries || ownAddress === undefined)("applied by kubectl,", () => {
  const scope = testScope();
  let cluster: Cluster;
  let mesh: TestMesh;
  let shop: Shop;
  let sidecar: TestProxy;
  let gateway: TestProxy;

  beforeAll(async () => {
    cluster = await startCluster(scope);
    await installDefinitions(cluster);
    // Keeps the port served when no other service is left on it.
    await apply(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: always}
spec: {hosts: [always.example.com], resolution: STATIC, ports: [{number: ${SHOP_PORT}, name: http, protocol: HTTP}]}
`);
    shop = await openShop(scope, cluster);
    mesh = await startTestMesh(scope, { kubernetes: { client: cluster.client } });
    sidecar = await mesh.startProxy({ name: "client", labels: { app: "client" } });
    gateway = await mesh.startProxy({ name: "gateway", role: "router", labels: { istio: "ingressgateway" } });
  });

  const apply = (yaml: string) => cluster.kubectl(["apply", "-f", "-"], yaml);
  const remove = (...what: string[]) => cluster.kubectl(["delete", "--wait=false", ...what]);

  function rule(subset: string): string {
    return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop]
  http: [{name: all, route: [{destination: {host: shop, subset: ${subset}}}]}]
`;
  }
  const SUBSETS = `apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: shop}
spec: {host: shop, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
`;

  test("a Service has the endpoints of its EndpointSlices, as they become ready and cease to be", async () => {
    await answered(sidecar, "v1 v2");
    await shop.setReady("v2", false);
    await answered(sidecar, "v1");
    await shop.setReady("v2", true);
    await answered(sidecar, "v1 v2");
    await shop.addPod("v3", await startBackend(scope, "v3", { host: ownAddress as string }));
    await answered(sidecar, "v1 v2 v3", { count: 12 });
    await remove("endpointslice", "shop-v3");
    await answered(sidecar, "v1 v2");
    await remove("service", "shop");
    await answered(sidecar, UNKNOWN);
    await apply(`apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{name: http, port: ${SHOP_PORT}, targetPort: 8080}]}
`);
    await answered(sidecar, "v1 v2");
  });

  test("a VirtualService and a DestinationRule choose subsets, by the pods' labels of the moment", async () => {
    await apply(`${SUBSETS}---\n${rule("v2")}`);
    await answered(sidecar, "v2");
    await apply(rule("v1"));
    await answered(sidecar, "v1");
    await cluster.kubectl(["label", "pod", "v2", "version=v1", "--overwrite"]);
    await answered(sidecar, "v1 v2");
    await cluster.kubectl(["label", "pod", "v2", "version=v2", "--overwrite"]);
    await answered(sidecar, "v1");
    await remove("destinationrule", "shop");
    await answered(sidecar, "503");
    await remove("virtualservice", "shop");
    await answered(sidecar, "v1 v2");
    expect(await mesh.violations()).toEqual([]);
  });

  test("a StagedRollout pins requests by a header", async () => {
    await apply(`${SUBSETS}---\n${rule("v1")}`);
    await apply(`apiVersion: headgate.dev/v1alpha1
kind: StagedRollout
metadata: {name: shop}
spec: {virtualService: shop, route: all, override: {header: x-version, values: {first: v1}}, sticky: {header: x-user}}
`);
    await answered(sidecar, "v1");
    expect(await mesh.violations()).toEqual([]);
    await apply(
      rule("v1").replace(
        "subset: v1}}",
        "subset: v1}, weight: 100}, {destination: {host: shop, subset: v2}, weight: 0}",
      ),
    );
    await cluster.kubectl([
      "patch",
      "stagedrollout",
      "shop",
      "--type=merge",
      "-p",
      '{"spec":{"override":{"values":{"next":"v2"}}}}',
    ]);
    await answered(sidecar, "v2", { headers: { "x-version": "next" } });
    await answered(sidecar, "v1");
    await remove("stagedrollout", "shop");
    await answered(sidecar, "v1", { headers: { "x-version": "next" } });
    await remove("virtualservice,destinationrule", "shop");
  });

  test("a ServiceEntry brings a host in, and a WorkloadEntry an endpoint of a Service", async () => {
    const outside = await startBackend(scope, "outside");
    const other = await startBackend(scope, "other");
    const entry = (port: number) => `apiVersion: networking.istio.io/v1alpha3
kind: ServiceEntry
metadata: {name: outside}
spec:
  hosts: [outside.example.com]
  resolution: STATIC
  ports: [{number: ${SHOP_PORT}, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: ${port}}}]
`;
    await apply(entry(outside.port));
    await answered(sidecar, "outside", { host: "outside.example.com" });
    await apply(entry(other.port));
    await answered(sidecar, "other", { host: "outside.example.com" });
    await remove("serviceentry", "outside");
    await answered(sidecar, UNKNOWN, { host: "outside.example.com" });
    await apply(`apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: shop-vm}
spec: {address: 127.0.0.1, ports: {http: ${outside.port}}, labels: {app: shop}}
`);
    await answered(sidecar, "outside v1 v2", { count: 12 });
    await remove("workloadentry", "shop-vm");
    await answered(sidecar, "v1 v2");
  });

  test("a WasmPlugin and a TrafficExtension run where they select", async () => {
    const file = join(await scope.directory(), "tracing.wasm");
    await writeFile(file, await tracingPlugin());
    const select = "selector: {matchLabels: {app: client}}";
    const plugin = (name: string) => `apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: tracing}
spec: {${select}, url: "file://${file}", phase: AUTHN, pluginConfig: {name: ${name}}}
`;
    const extension = `apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata: {name: tracing}
spec: {${select}, phase: STATS, wasm: {url: "file://${file}", pluginConfig: {name: extension}}}
`;
    const trail = async () => {
      const { body } = await ask(`http://${sidecar.address}:${SHOP_PORT}/`, { headers: { host: "shop" } });
      return (JSON.parse(body) as { headers: Record<string, string> }).headers["x-trail"];
    };
    await apply(plugin("first"));
    await eventually("the plugin runs", async () => (await trail()) === "first");
    await apply(`${plugin("other")}---\n${extension}`);
    await eventually("both run", async () => (await trail()) === "other,extension");
    await remove("wasmplugin", "tracing");
    await eventually("the extension runs", async () => (await trail()) === "extension");
    await remove("trafficextension", "tracing");
    await eventually("neither runs", async () => (await trail()) === undefined);
  });

  test("a Sidecar limits what its workloads know", async () => {
    await apply(`apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: client}
spec: {workloadSelector: {labels: {app: client}}, egress: [{hosts: ["./always.example.com"]}]}
`);
    await answered(sidecar, UNKNOWN);
    await remove("sidecar", "client");
    await answered(sidecar, "v1 v2");
  });

  test("a Node says where its pods are", async () => {
    const region = (name: string) => `apiVersion: v1
kind: Node
metadata: {name: node-1, labels: {topology.kubernetes.io/region: ${name}}}
`;
    const seen = async (text: string) => (await sidecar.get("/clusters")).body.includes(`::region::${text}`);
    await apply(region("north"));
    await cluster.client.merge(
      { group: "discovery.k8s.io", version: "v1", plural: "endpointslices" },
      { namespace: "default", name: "shop-v1" },
      { endpoints: [{ addresses: [ownAddress], nodeName: "node-1", conditions: { ready: true } }] },
    );
    await eventually("its region is known", () => seen("north"));
    await apply(region("south"));
    await eventually("its region changed", () => seen("south"));
    await remove("node", "node-1");
    await eventually("its region is gone", async () => !(await seen("south")));
    await shop.setReady("v1", true);
  });

  test("a Gateway serves with its Secret's certificate, which is replaced under load without a failed request", async () => {
    const authority = await createAuthority("ours");
    const secret = async () => {
      const { certificate, privateKey } = await authority.issue(["shop.example.com"]);
      const base64 = (text: string) => Buffer.from(text).toString("base64");
      return `apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {name: shop-cert}
data: {tls.crt: ${base64(certificate)}, tls.key: ${base64(privateKey)}}
`;
    };
    await apply(`${await secret()}---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: ${TLS_PORT}, name: https, protocol: HTTPS}, hosts: [shop.example.com], tls: {mode: SIMPLE, credentialName: shop-cert}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: at-gateway}
spec:
  hosts: [shop.example.com]
  gateways: [shop]
  http: [{route: [{destination: {host: shop}}]}]
`);
    const url = `https://${gateway.address}:${TLS_PORT}/`;
    const headers = { host: "shop.example.com" };
    const tls = { ca: authority.certificate, serverName: "shop.example.com" };
    const asked = { headers, ...tls };
    await eventually("the gateway serves", async () => (await ask(url, asked)).status === 200);
    const rotations = () => gateway.stat("listener_manager.listener_modified");
    const updates = async () =>
      [...(await gateway.get("/stats?filter=sds.*update_success")).body.matchAll(/: (\d+)/g)].reduce(
        (sum, [, count]) => sum + Number(count),
        0,
      );
    const listeners = await rotations();
    const load = startLoad({ url, headers, tls, concurrency: 4 });
    for (let times = 0; times < 5; times++) {
      const before = await updates();
      await apply(await secret());
      await eventually("the gateway has the new certificate", async () => (await updates()) > before);
    }
    const { outcomes, broken, requests } = await load.stop();
    expect({ outcomes, broken }).toEqual({ outcomes: { 200: requests }, broken: [] });
    expect(await rotations()).toBe(listeners);
    await remove("gateway", "shop");
    await eventually("the gateway serves no more", () =>
      ask(url, asked).then(
        () => false,
        () => true,
      ),
    );
    await remove("virtualservice/at-gateway", "secret/shop-cert");
  });

  test("a faulty object is told with its field, and what it was before goes on", async () => {
    await apply(`${SUBSETS}---\n${rule("v2")}`);
    await answered(sidecar, "v2");
    await apply(rule("v1").replace("{name: all,", '{name: all, match: [{uri: {regex: "("}}],'));
    const [fault] = await eventually("it is told", async () => {
      const faults = await mesh.violations();
      return faults.length > 0 && faults;
    });
    const whose = { kind: "VirtualService", namespace: "default", name: "shop" };
    expect(fault).toMatchObject({ ...whose, code: "invalid-regex", path: "spec.http[0].match[0].uri.regex" });
    await answered(sidecar, "v2");
    await remove("virtualservice,destinationrule", "shop");
    await answered(sidecar, "v1 v2");
  });
});
