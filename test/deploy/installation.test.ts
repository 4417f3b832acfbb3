// deploy/kubernetes and deploy/gateways on a real API server: taken as they are, and what they start finds all it needs.
import { readFile, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { join, relative } from "node:path";
import { json } from "node:stream/consumers";
import { beforeAll, describe, expect, test } from "vitest";
import type { ProxyView } from "../../controlplane/admin/proxies.js";
import type { KubeObject, KubeType } from "../../controlplane/kube/object.js";
import { freePort } from "../harness/addresses.js";
import { testEnvoyBinary } from "../harness/envoy.js";
import { runHeadgate } from "../harness/headgate.js";
import { testScope } from "../harness/scope.js";
import { type ServeProcess, startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "../kube/support/cluster.js";
import { ownAddress } from "../kube/support/own-address.js";
import { authorityIn, core, makePod, podOf, startPod, tokenOf } from "./support/kubelet.js";
import {
  argumentsOf,
  buildManifests,
  type Container,
  keyOf,
  type Manifest,
  type PodTemplate,
  templatesOf,
} from "./support/manifests.js";

interface ServiceSpec {
  readonly ports: readonly { readonly targetPort: string | number }[];
}

interface Configuration {
  readonly webhooks: readonly [{ readonly clientConfig: ClientConfig }];
}

interface ClientConfig {
  readonly caBundle: string;
  readonly service: { readonly name: string; readonly namespace: string; readonly path: string };
}

interface ReviewAnswer {
  readonly response: { readonly patch: string };
}

/** Posts JSON, and resolves with that of the answer. */
function ask(url: string, body: object, tls: { readonly ca: string; readonly servername: string }): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", ...tls }, (response) => json(response).then(resolve, reject));
    sent.on("error", reject);
    sent.end(JSON.stringify(body));
  });
}

const webhooks = (plural: string): KubeType => ({ group: "admissionregistration.k8s.io", version: "v1", plural });
const GATEWAYS = join("deploy", "gateways");
const CONTROL_PLANE = "Deployment headgate-system/headgate";

describe.skipIf("error" in kubeBinaries)("what deploy/ installs", () => {
  const scope = testScope();
  let cluster: Cluster;
  let manifests: readonly Manifest[];
  let replica: ServeProcess;

  const templateOf = (key: string) => new Map(templatesOf(manifests)).get(key) as PodTemplate;

  beforeAll(async () => {
    cluster = await startCluster(scope);
    const strictly = ["apply", "--server-side", "--validate=strict"];
    await cluster.kubectl([...strictly, "-f", join("deploy", "kubernetes", "crds")]);
    await cluster.kubectl([...strictly, "-k", GATEWAYS]);
    manifests = await buildManifests(GATEWAYS);
  });

  test("is the same once it is applied again", async () => {
    const before = await cluster.kubectl(["get", "deployments,services,roles", "-A", "-o", "json"]);
    await cluster.kubectl(["apply", "--server-side", "--validate=strict", "-k", GATEWAYS]);
    expect(await cluster.kubectl(["get", "deployments,services,roles", "-A", "-o", "json"])).toBe(before);
  });

  test("has its images named by a kustomization as docs/kubernetes.md shows it", async () => {
    const [snippet = ""] =
      /(?<=\n\n) {4}resources: \[path(.*\n)+?(?=\n)/.exec(await readFile("docs/kubernetes.md", "utf8")) ?? [];
    const folder = await scope.directory();
    const text = snippet.replace(/^ {4}/gm, "").replace("path/to/deploy/gateways", relative(folder, GATEWAYS));
    await writeFile(join(folder, "kustomization.yaml"), text);
    const containers = templatesOf(await buildManifests(folder)).map(([, { spec }]) => spec.containers[0]);
    const [proxy, control] = ["registry.example.org/headgate-proxy:0.1.0", "registry.example.org/headgate:0.1.0"];
    expect(containers.map(({ image }) => image).sort()).toEqual([proxy, proxy, control].sort());
    const { env } = containers.find(({ image }) => image === control) as (typeof containers)[number];
    expect(env).toContainEqual({ name: "PROXY_IMAGE", value: proxy });
  });

  test("makes pods that the strictest of Kubernetes' pod security standards lets in", async () => {
    const bare = { containers: [{ name: "a", image: "a" }] };
    const refused = { apiVersion: "v1", kind: "Pod", metadata: { name: "a" }, spec: bare };
    for (const namespace of ["headgate-system", "headgate-gateways"]) {
      await expect(cluster.client.create(core("pods"), refused, namespace)).rejects.toThrow("violates PodSecurity");
    }
    for (const [key, template] of templatesOf(manifests)) {
      expect((await makePod(cluster, key, template)).metadata.name, key).toBeDefined();
    }
  });

  test("selects its own pods, by ports that they have", () => {
    const templates = templatesOf(manifests).map(([, template]) => template);
    const selectors = manifests.flatMap((manifest) => {
      const { selector, podSelector } = (manifest.spec ?? {}) as Record<string, Record<string, unknown> | undefined>;
      const labels = selector?.matchLabels ?? podSelector?.matchLabels ?? selector;
      return labels === undefined ? [] : [{ manifest, labels: labels as Record<string, string> }];
    });
    expect(selectors.length).toBeGreaterThan(9);
    for (const { manifest, labels } of selectors) {
      const matching = templates.filter(({ metadata }) =>
        Object.entries(labels).every(([name, value]) => metadata.labels[name] === value),
      );
      expect(matching, keyOf(manifest)).toHaveLength(1);
      if (manifest.kind !== "Service") continue;
      const [container] = (matching[0] as PodTemplate).spec.containers;
      const ports = container.ports.flatMap(({ name, containerPort }) => [name, containerPort]);
      const targets = (manifest.spec as unknown as ServiceSpec).ports.map(({ targetPort }) => targetPort);
      expect(ports, keyOf(manifest)).toEqual(expect.arrayContaining(targets));
    }
  });

  test("starts a control plane that gets ready as its own account, and sets up all that is to find it", async () => {
    const pod = await cluster.client.get(core("pods"), podOf(CONTROL_PLANE));
    const user = { token: await tokenOf(cluster, pod as KubeObject) };
    const kubeconfig = await cluster.writeKubeconfig("account.kubeconfig", { user });
    const args = argumentsOf(templateOf(CONTROL_PLANE).spec.containers[0]).map((arg) =>
      arg
        .replace(/=0\.0\.0\.0:\d+$/, "=127.0.0.1:0")
        .replace("/var/cache/headgate", join(cluster.directory, "modules")),
    );
    expect(args[0]).toBe("serve");
    replica = await startServe(scope, [
      ...args.slice(1),
      ...["--kubeconfig", kubeconfig, "--admin=127.0.0.1:0", "--webhook-name=127.0.0.1"],
    ]);
    expect(await (await fetch(`http://${replica.admin}/violations`)).json()).toEqual({ violations: [] });
    for (const plural of ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"]) {
      await eventually(`${plural} have an authority`, async () => {
        const found = await cluster.client.get(webhooks(plural), { name: "headgate" });
        const each = found?.webhooks as readonly { readonly clientConfig: { readonly caBundle?: string } }[];
        return each.every(({ clientConfig }) => clientConfig.caBundle !== undefined);
      });
    }
    for (const namespace of ["headgate-system", "headgate-gateways"]) {
      await eventually(
        `${namespace} has the authority of ADS`,
        async () => (await authorityIn(cluster, namespace)) !== "",
      );
    }
  });

  test("gives pods sidecars that find the control plane, and trust it", async () => {
    const found = await cluster.client.get(webhooks("mutatingwebhookconfigurations"), { name: "headgate" });
    const { service, caBundle } = (found as unknown as Configuration).webhooks[0].clientConfig;
    const review = {
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      request: { uid: "a", operation: "CREATE", object: { kind: "Pod", spec: { containers: [{ name: "web" }] } } },
    };
    // As the API server asks it, but that there is no network of Services.
    const answer = await ask(`https://${replica.webhook}${service.path}`, review, {
      ca: Buffer.from(caBundle, "base64").toString(),
      servername: `${service.name}.${service.namespace}.svc`,
    });
    const patch = Buffer.from((answer as ReviewAnswer).response.patch, "base64").toString();
    expect(patch).toContain('"--ads","headgate.headgate-system.svc:15012"');
    expect(patch).toContain('"image":"headgate-proxy:0.1.0"');
    expect(patch).toContain(JSON.stringify(await authorityIn(cluster, "headgate-system")));
  });

  test("takes a Gateway for each of its gateways, on a port of their Services", async () => {
    for (const role of ["ingress", "egress"]) {
      const servers = [{ port: { number: 80, name: "http", protocol: "HTTP" }, hosts: ["a.example.org"] }];
      // The webhook, which cannot be reached here, is not asked about this namespace.
      const metadata = { name: role, namespace: "headgate-system" };
      const spec = { selector: { istio: `${role}gateway` }, servers };
      const gateway = { apiVersion: "networking.istio.io/v1", kind: "Gateway", metadata, spec };
      expect(await cluster.kubectl(["apply", "-f", "-"], JSON.stringify(gateway))).toContain("created");
    }
  });

  test("keeps what the control plane has set up when it is applied again", async () => {
    await cluster.kubectl(["apply", "--server-side", "--validate=strict", "-k", GATEWAYS]);
    const found = await cluster.client.get(webhooks("mutatingwebhookconfigurations"), { name: "headgate" });
    expect(JSON.stringify(found?.webhooks).match(/"caBundle"/g)).toHaveLength(2);
    expect(await authorityIn(cluster, "headgate-gateways")).toContain("BEGIN CERTIFICATE");
  });

  test("tells of a policy what became of it", async () => {
    const spec = { hosts: ["a.example.org"], http: [{ directResponse: { status: 200 } }] };
    // The webhook, which cannot be reached here, is not asked about this namespace.
    const metadata = { name: "a", namespace: "headgate-system" };
    const policy = { apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata, spec };
    await cluster.kubectl(["apply", "-f", "-"], JSON.stringify(policy));
    const query = [
      "get",
      "virtualservice",
      "a",
      "-n",
      "headgate-system",
      "-o",
      "jsonpath={.status.conditions[*].type}",
    ];
    await eventually("it has conditions", async () => (await cluster.kubectl(query)).includes("Accepted"));
  });

  test("asks control planes and gateways at paths that they answer", async () => {
    const asked = templatesOf(manifests).flatMap(([, { spec }]) => {
      const [{ startupProbe, readinessProbe, livenessProbe }] = spec.containers;
      return [startupProbe, readinessProbe, livenessProbe].map(({ httpGet }) => httpGet);
    });
    expect(new Set(asked.map(({ port }) => port))).toEqual(new Set(["http-status"]));
    for (const { path } of asked) expect((await fetch(`http://${replica.status}${path}`)).status, path).toBe(200);
  });

  test.skipIf(ownAddress === undefined).each(["ingressgateway", "egressgateway"])(
    "starts an %s that proves who it is, and gets ready",
    async (name) => {
      const key = `Deployment headgate-gateways/headgate-${name}`;
      const pod = (await cluster.client.get(core("pods"), podOf(key))) as KubeObject;
      const folder = await scope.directory();
      await writeFile(join(folder, "ca.pem"), await authorityIn(cluster, "headgate-gateways"));
      const [container] = templateOf(key).spec.containers;
      const { run, view } = await runProxy(pod, container, folder);
      expect(view.labels).toMatchObject({ istio: name });
      await eventually("it listens where its Service leads", async () => {
        const config = await fetch(`http://${replica.admin}/config?proxy=${view.id}&type=lds`);
        return (await config.text()).includes('"portValue":10080');
      });
      run.child.kill("SIGTERM");
      expect((await run.exited).code).toBe(0);
    },
  );

  test.skipIf(ownAddress === undefined)("gives a pod of a labelled namespace a sidecar that gets ready", async () => {
    await reachWebhookHere();
    await cluster.kubectl(["create", "namespace", "shop"]);
    await cluster.kubectl(["label", "namespace", "shop", "headgate.dev/injection=enabled"]);
    await cluster.kubectl(["create", "serviceaccount", "web", "-n", "shop"]);
    const metadata = { name: "web-1", labels: { app: "web" }, annotations: { "headgate.dev/capture": "none" } };
    const spec = { serviceAccountName: "web", containers: [{ name: "web", image: "web" }] };
    const create = () => cluster.client.create(core("pods"), { apiVersion: "v1", kind: "Pod", metadata, spec }, "shop");
    const pod = await eventually("the API server reaches the webhook", create);
    const [container] = (pod.spec as { readonly initContainers: readonly [Container] }).initContainers;
    expect(container.image).toBe("headgate-proxy:0.1.0");
    const folder = await scope.directory();
    await writeFile(join(folder, "ads-ca.pem"), pod.metadata.annotations?.["headgate.dev/ads-ca"] ?? "");
    expect((await runProxy(pod, container, folder)).view.labels).toEqual({ app: "web" });
  });

  /** There is no network of Services here, by which the API server would reach it. */
  async function reachWebhookHere(): Promise<void> {
    const [type, at] = [webhooks("mutatingwebhookconfigurations"), { name: "headgate" }];
    const found = (await cluster.client.get(type, at)) as unknown as Configuration;
    const url = `https://${replica.webhook}/inject`;
    const moved = found.webhooks.map(({ clientConfig: { caBundle }, ...webhook }) => ({
      ...webhook,
      clientConfig: { caBundle, url },
    }));
    await cluster.client.replace(type, at, { ...found, webhooks: moved });
  }

  /** Runs a container of the agent's, whose credentials lie in the folder but for its token, until it is ready. */
  async function runProxy(
    pod: KubeObject,
    container: Pick<Container, "args" | "env" | "readinessProbe">,
    folder: string,
  ) {
    const known = await startPod(cluster, pod, ownAddress as string);
    await writeFile(join(folder, "token"), await tokenOf(cluster, pod, "headgate"));
    const status = `127.0.0.1:${await freePort()}`;
    const args = argumentsOf(container, known).map((arg) =>
      arg
        .replace("headgate.headgate-system.svc:15012", replica.ads)
        .replace("/var/run/headgate", folder)
        .replace("0.0.0.0:15021", status),
    );
    const here = ["--ads-server-name=headgate.headgate-system.svc", "--admin=127.0.0.1:0", "--concurrency=1"];
    const run = runHeadgate(scope, ["proxy", ...args, ...here, `--envoy=${await testEnvoyBinary()}`]);
    const ready = async () => (await fetch(`http://${status}${container.readinessProbe.httpGet.path}`)).status === 200;
    await eventually("the proxy is ready", ready, 30_000).catch((error: Error) => {
      throw new Error(`${error.message}\n${run.stderr()}`);
    });
    const { proxies } = (await (await fetch(`http://${replica.admin}/proxies`)).json()) as { proxies: ProxyView[] };
    return { run, view: proxies.find(({ name }) => name === pod.metadata.name) as ProxyView };
  }
});
