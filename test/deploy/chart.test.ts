// The Helm chart: by its linter, held against the plain manifests object by object, and its variants on a real API server.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import type { CommandDefinition } from "../../controlplane/cli/command.js";
import { proxyCommand } from "../../controlplane/cli/proxy.js";
import { serveCommand } from "../../controlplane/cli/serve.js";
import { testScope } from "../harness/scope.js";
import { KUBERNETES_VERSION } from "../kube/support/binaries.js";
import { type Cluster, kubeBinaries, startCluster } from "../kube/support/cluster.js";
import { buildManifests, keyOf, type Manifest, readManifests, templatesOf } from "./support/manifests.js";
import { findDeployTool } from "./support/tools.js";

const CHART = join("deploy", "helm", "headgate");
const helm = await findDeployTool("helm", { env: process.env, get: false });
if ("error" in helm) console.warn(`Tests of the chart are skipped. ${helm.error}`);

async function runHelm(args: readonly string[]): Promise<string> {
  if ("error" in helm) throw new Error(helm.error);
  return (await promisify(execFile)(helm.value, args, { maxBuffer: 16 * 1_048_576 })).stdout;
}

/** What it makes, as a text. */
function render(sets: readonly string[], namespace = "headgate-system"): Promise<string> {
  const values = sets.flatMap((set) => ["--set-json", set]);
  return runHelm(["template", "headgate", CHART, "-n", namespace, "--kube-version", KUBERNETES_VERSION, ...values]);
}

/** By their keys; the namespace of the control plane is the release's, which the chart does not make. */
function byKey(manifests: readonly Manifest[]): Readonly<Record<string, Manifest>> {
  const kept = manifests.map((manifest) => [keyOf(manifest), manifest] as const);
  return Object.fromEntries(kept.filter(([key]) => key !== "Namespace /headgate-system"));
}

const VARIANTS: readonly (readonly [string, readonly string[]])[] = [
  [
    "nothing that can be left out",
    [
      'autoscaling={"enabled":false}',
      'podDisruptionBudget={"enabled":false}',
      'networkPolicy={"enabled":false}',
      'status={"enabled":false}',
      'admission={"enabled":false}',
      'injection={"enabled":false}',
    ],
  ],
  [
    "all that can be said",
    [
      'image={"repository":"r.example.org/a","tag":"1","pullPolicy":"Always"}',
      'proxyImage={"repository":"r.example.org/b","tag":"2","pullPolicy":"Always"}',
      'imagePullSecrets=[{"name":"pull"}]',
      'networkPolicy.extraEgress=[{"ports":[{"port":5000,"protocol":"TCP"}]}]',
      'admission.failurePolicy="Fail"',
      'extraArgs=["--kube-namespaces=a,b"]',
      'nodeSelector={"kubernetes.io/os":"linux"}',
      'tolerations=[{"key":"a","operator":"Exists"}]',
      'priorityClassName="system-cluster-critical"',
      "gateways.enabled=true",
      'gateways.ingress.service.annotations={"example.org/a":"b"}',
      "gateways.egress.enabled=false",
    ],
  ],
];

describe.skipIf("error" in helm)("the chart", () => {
  const scope = testScope();

  test("has nothing that helm lint minds", async () => {
    expect(await runHelm(["lint", "--strict", CHART])).toContain("0 chart(s) failed");
  });

  test.skipIf("error" in kubeBinaries).each([
    ["deploy/kubernetes", "by default", []],
    ["deploy/gateways", "with gateways", ["gateways.enabled=true"]],
  ])("makes the objects of %s %s", async (folder, _, sets) => {
    expect(byKey(readManifests(await render(sets)))).toEqual(byKey(await buildManifests(folder)));
  });

  test("is the same once it is packed", async () => {
    const folder = await scope.directory();
    await runHelm(["package", CHART, "--destination", folder]);
    const packed = join(folder, "headgate-0.1.0.tgz");
    const crds = ["--include-crds", "--kube-version", KUBERNETES_VERSION];
    expect(await runHelm(["template", "a", packed, ...crds])).toBe(await runHelm(["template", "a", CHART, ...crds]));
  });

  test("keeps to the namespace of its release", async () => {
    const text = await render(["gateways.enabled=true"], "mesh");
    expect(text.replace(/^\s*#.*$/gm, "")).not.toContain("headgate-system");
    expect(text).toContain("--kube-lease=mesh/headgate");
  });

  test("gives control planes and gateways flags that there are", async () => {
    const known = (command: CommandDefinition) =>
      new Set(command.options.map(({ flags }) => /--[a-z-]+/.exec(flags)?.[0]));
    const [ofServe, ofProxy] = [known(serveCommand), known(proxyCommand)];
    const [, sets] = VARIANTS[1] as (typeof VARIANTS)[number];
    for (const [key, { spec }] of templatesOf(readManifests(await render(sets, "mesh")))) {
      const { args } = spec.containers[0];
      const flags = args.filter((arg) => arg.startsWith("--")).map((arg) => arg.split("=")[0]);
      const isServe = args[0] === "serve";
      expect(
        flags.filter((flag) => !(isServe ? ofServe : ofProxy).has(flag)),
        key,
      ).toEqual([]);
    }
  });

  test("says what it is told", async () => {
    const [, sets] = VARIANTS[1] as (typeof VARIANTS)[number];
    const manifests = readManifests(await render(sets));
    const templates = templatesOf(manifests);
    expect(templates.map(([key]) => key).sort()).toEqual([
      "Deployment headgate-gateways/headgate-ingressgateway",
      "Deployment headgate-system/headgate",
    ]);
    const images = templates.map(([, { spec }]) => spec.containers[0].image).sort();
    expect(images).toEqual(["r.example.org/a:1", "r.example.org/b:2"]);
    const [validating] = manifests.filter(({ kind }) => kind === "ValidatingWebhookConfiguration");
    expect(validating?.webhooks).toEqual([expect.objectContaining({ failurePolicy: "Fail" })]);
  });

  test.each([
    ["a value of a wrong type", 'autoscaling.minReplicas="two"', "autoscaling/minReplicas"],
    ["a value that does not exist", "autoscaling.minReplica=2", "minReplica"],
    ["a word that is none", 'admission.failurePolicy="Never"', "admission/failurePolicy"],
    [
      "gateways among the control planes",
      'gateways={"enabled":true,"namespace":"headgate-system"}',
      "one of their own",
    ],
  ])("refuses %s", async (_, set, text) => {
    await expect(render([set])).rejects.toThrow(text);
  });
});

describe.skipIf("error" in helm || "error" in kubeBinaries)("the chart on a cluster", () => {
  const scope = testScope();
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster(scope);
    await cluster.kubectl(["create", "namespace", "headgate-system"]);
    await cluster.kubectl(["create", "namespace", "headgate-gateways"]);
  });

  test.each(VARIANTS)("is taken with %s", async (_, sets) => {
    const text = await render(sets);
    const args = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
    const taken = (await cluster.kubectl(args, text)).trim().split("\n");
    expect(taken).toHaveLength(readManifests(text).length);
  });

  test("is installed, upgraded and taken away by Helm", async () => {
    const at = ["-n", "headgate-system", "--kubeconfig", cluster.kubeconfig];
    await runHelm(["install", "headgate", CHART, ...at]);
    expect(await cluster.kubectl(["get", "deployment", "headgate", "-n", "headgate-system"])).toContain("headgate");
    expect(await cluster.kubectl(["get", "crd", "-o", "name"])).toContain("virtualservices.networking.istio.io");
    await runHelm(["upgrade", "headgate", CHART, ...at, "--set", "autoscaling.maxReplicas=9"]);
    const autoscaler = ["get", "hpa", "headgate", "-n", "headgate-system", "-o", "jsonpath={.spec.maxReplicas}"];
    expect(await cluster.kubectl(autoscaler)).toBe("9");
    await runHelm(["uninstall", "headgate", ...at]);
    expect(await cluster.kubectl(["get", "clusterrole", "headgate", "--ignore-not-found"])).toBe("");
  });
});
