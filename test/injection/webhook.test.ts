// The mutating webhook as it is run, asked by a real API server, which then holds the pods against Kubernetes' own rules.
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { KubeObject } from "../../controlplane/kube/object.js";
import { createAuthority } from "../harness/certificates.js";
import { runHeadgate } from "../harness/headgate.js";
import { testScope } from "../harness/scope.js";
import { type ServeProcess, startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "../kube/support/cluster.js";

const CONFIGURATIONS = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural: "mutatingwebhookconfigurations",
};
const PODS = { group: "", version: "v1", plural: "pods" };

interface Spec {
  readonly containers: readonly { readonly name: string }[];
  readonly initContainers?: readonly { readonly name: string; readonly restartPolicy?: string }[];
  readonly volumes?: readonly object[];
}

describe.skipIf("error" in kubeBinaries)("headgate serve --webhook --inject-image", () => {
  const scope = testScope();
  let cluster: Cluster;
  let replica: ServeProcess;
  let authority: string;
  let names = 0;

  /** Makes a pod, and resolves with what became of it. */
  async function make(namespace: string, metadata: object = {}, spec: object = {}): Promise<KubeObject> {
    const containers = [{ name: "web", image: "web" }];
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `web-${++names}`, ...metadata },
      // Nothing here sets it, where a whole cluster would.
      spec: { serviceAccountName: "default", containers, ...spec },
    };
    return cluster.client.create(PODS, pod, namespace);
  }
  const initNames = ({ spec }: KubeObject) => (spec as Spec).initContainers?.map(({ name }) => name) ?? [];
  const INJECTED = ["headgate-capture", "headgate-proxy"];

  beforeAll(async () => {
    cluster = await startCluster(scope);
    for (const namespace of ["headgate-system", "meshed", "plain"]) {
      await cluster.kubectl(["create", "namespace", namespace]);
    }
    await cluster.kubectl(["label", "namespace", "meshed", "headgate.dev/injection=enabled"]);
    authority = join(await scope.directory(), "ca.pem");
    await writeFile(authority, (await createAuthority("test")).certificate);
    const addresses = ["--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--webhook", "127.0.0.1:0"];
    const injection = ["--inject-image", "headgate:1", "--inject-ads", "control:15012", "--inject-ads-ca", authority];
    const args = ["--kube", "--kubeconfig", cluster.kubeconfig, ...addresses, "--webhook-name", "127.0.0.1"];
    replica = await startServe(scope, [...args, ...injection]);
    const shipped = parse(readFileSync(join("deploy", "kubernetes", "injection.yaml"), "utf8"));
    const clientConfig = { url: `https://${replica.webhook}/inject` };
    const webhooks = shipped.webhooks.map((webhook: object) => ({ ...webhook, clientConfig }));
    const configuration = { ...shipped, webhooks };
    await cluster.client.apply(CONFIGURATIONS, configuration.metadata, configuration, { fieldManager: "test" });
    await eventually("pods get sidecars", async () => initNames(await make("meshed")).length > 0);
  });

  test("gives a pod of a labelled namespace its sidecar, in a shape that Kubernetes takes", async () => {
    const pod = await make("meshed", { labels: { app: "web" } }, { initContainers: [{ name: "own", image: "own" }] });
    expect(initNames(pod)).toEqual([...INJECTED, "own"]);
    const { initContainers, containers } = pod.spec as Spec;
    expect(containers.map(({ name }) => name)).toEqual(["web"]);
    expect(initContainers?.[1]).toMatchObject({
      restartPolicy: "Always",
      image: "headgate:1",
      startupProbe: { httpGet: { path: "/healthz/ready", port: 15021 } },
      securityContext: { runAsNonRoot: true, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
    });
    expect(pod.metadata.annotations?.["headgate.dev/ads-ca"]).toContain("BEGIN CERTIFICATE");
    expect((pod.spec as Spec).volumes).toContainEqual(
      expect.objectContaining({
        projected: expect.objectContaining({
          sources: expect.arrayContaining([
            { serviceAccountToken: { path: "token", audience: "headgate", expirationSeconds: 3600 } },
          ]),
        }),
      }),
    );
  });

  test("goes by the pod's label, where it has one, before its namespace's", async () => {
    const label = (value: string) => ({ labels: { "headgate.dev/inject": value } });
    expect(initNames(await make("plain"))).toEqual([]);
    expect(initNames(await make("plain", label("true")))).toEqual(INJECTED);
    expect(initNames(await make("meshed", label("false")))).toEqual([]);
    expect(initNames(await make("kube-system", label("true")))).toEqual([]);
  });

  test("gives it once, whoever else changed the pod", async () => {
    const { spec } = await make("meshed");
    const { initContainers, volumes } = spec as Spec;
    const again = await make("meshed", {}, { initContainers, volumes });
    expect(initNames(again)).toEqual(INJECTED);
    expect((again.spec as Spec).volumes).toEqual(volumes);
  });

  test("gives what `headgate inject` gives, and nothing more to a pod that has it from there", async () => {
    const spec = { serviceAccountName: "default", containers: [{ name: "web", image: "web" }] };
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "offline", labels: { app: "web" } }, spec };
    const file = join(await scope.directory(), "pod.json");
    await writeFile(file, JSON.stringify(pod));
    const settings = ["--image", "headgate:1", "--ads", "control:15012", "--ads-ca", authority];
    const run = runHeadgate(scope, ["inject", file, ...settings]);
    expect((await run.exited).code, run.stderr()).toBe(0);
    await cluster.kubectl(["apply", "-n", "meshed", "--validate=strict", "-f", "-"], run.stdout());
    const offline = await cluster.client.get(PODS, { namespace: "meshed", name: "offline" });
    expect(offline?.spec).toEqual((await make("meshed", { labels: { app: "web" } })).spec);
  });

  test("keeps to the strictest pod security standard in a pod without capture, which alone needs more", async () => {
    const labels = ["headgate.dev/injection=enabled", "pod-security.kubernetes.io/enforce=restricted"];
    await cluster.kubectl(["create", "namespace", "strict"]);
    await cluster.kubectl(["label", "namespace", "strict", ...labels]);
    const context = { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } };
    const spec = {
      securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
      containers: [{ name: "web", image: "web", securityContext: context }],
    };
    const uncaptured = await make("strict", { annotations: { "headgate.dev/capture": "none" } }, spec);
    expect(initNames(uncaptured)).toEqual(INJECTED.slice(1));
    await expect(make("strict", {}, spec)).rejects.toThrow('container "headgate-capture" must');
  });

  test("refuses a pod whose annotation cannot be followed, and says why", async () => {
    const annotations = { "headgate.dev/capture": "maybe" };
    await expect(make("meshed", { annotations })).rejects.toThrow(/denied the request: .*write redirect or none/);
    expect(initNames(await make("meshed", { annotations: { "headgate.dev/capture": "none" } }))).toEqual(
      INJECTED.slice(1),
    );
  });

  test("makes no pod of the mesh without its sidecar when it is gone, and holds up no other", async () => {
    await replica.kill();
    await expect(make("meshed")).rejects.toThrow("failed calling webhook");
    expect(initNames(await make("plain"))).toEqual([]);
    expect(initNames(await make("headgate-system"))).toEqual([]);
  });
});
