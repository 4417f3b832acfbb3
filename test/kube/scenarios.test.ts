// The example policies once more, this time applied by kubectl to a cluster that the control plane follows: each
// scenario of the demo, on real traffic through real Envoys.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseAllDocuments, stringify } from "yaml";
import { AppliedPolicies } from "../../controlplane/cli/demo/applied-policies.js";
import { type Mesh, startMesh } from "../../controlplane/cli/demo/mesh.js";
import { SCENARIOS } from "../../controlplane/cli/demo/once.js";
import { NAMESPACE } from "../../controlplane/cli/demo/topology.js";
import { testEnvoyBinary } from "../harness/envoy.js";
import { testScope } from "../harness/scope.js";
import { type Cluster, kubeBinaries, startCluster } from "./support/cluster.js";
import { installDefinitions, typeOf } from "./support/custom-resources.js";

interface WrittenObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: { readonly containers: readonly object[] };
  readonly status?: object;
}

describe.skipIf("error" in kubeBinaries)("with policies applied by kubectl,", () => {
  const scope = testScope();
  let cluster: Cluster;

  /**
   * Puts the demo's world into the cluster. A cluster takes no loopback addresses for endpoints, so the Services are
   * left to the addresses of their pods.
   */
  async function applyWorld(yaml: string): Promise<void> {
    const objects = parseAllDocuments(yaml).map((document) => document.toJS() as WrittenObject);
    const taken = objects.filter(({ kind }) => kind !== "EndpointSlice");
    await kubectl("apply", taken.map((object) => stringify(withImages(object))).join("---\n"));
    for (const { kind, metadata, status } of taken) {
      if (kind === "Pod") await cluster.client.merge(typeOf(kind), metadata, { status }, { subresource: "status" });
    }
  }

  const kubectl = async (verb: "apply" | "delete", yaml: string) => {
    const objects = parseAllDocuments(yaml).map((document) => document.toJS() as WrittenObject);
    const placed = objects.map((object) => ({ ...object, metadata: { namespace: NAMESPACE, ...object.metadata } }));
    await cluster.kubectl([verb, "-f", "-"], placed.map((object) => stringify(object)).join("---\n"));
  };

  test("every scenario holds", { timeout: 240_000 }, async () => {
    cluster = await startCluster(scope);
    await installDefinitions(cluster);
    for (const name of [NAMESPACE, "other", "istio-system"]) await cluster.kubectl(["create", "namespace", name]);
    const directory = await scope.directory();
    const mesh: Mesh = await startMesh({
      world: join(directory, "world"),
      policies: directory,
      cluster: { reading: ["--kube", "--kubeconfig", cluster.kubeconfig], apply: applyWorld },
      envoy: await testEnvoyBinary(),
      admin: "127.0.0.1:0",
      onProgress: () => {},
      onLog: () => {},
    });
    scope.use({ close: () => mesh.stop() });

    let before = "";
    const applied = new AppliedPolicies(mesh, async (text) => {
      if (before !== "") await kubectl("delete", before);
      if (text !== "") await kubectl("apply", text);
      before = text;
    });
    const apply = async (...files: readonly string[]) => {
      // kubectl makes one object after the other: all are gone before the first of the next ones comes.
      if (before !== "") await applied.replace([]);
      if (files.length > 0) await applied.replace(files);
    };
    for (const { title, run } of SCENARIOS) {
      const failed = (await run({ mesh, apply })).filter(({ held }) => !held);
      expect(failed, title).toEqual([]);
    }
    expect(SCENARIOS.length).toBe(10);
  });
});

/** A cluster takes no container without an image, and a pod's status by another way. */
function withImages({ status, ...object }: WrittenObject): object {
  if (object.kind !== "Pod") return object;
  const containers = object.spec?.containers.map((container) => ({ ...container, image: "demo" }));
  return { ...object, spec: { ...object.spec, containers } };
}
