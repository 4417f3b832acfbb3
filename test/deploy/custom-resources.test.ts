// The CustomResourceDefinitions that are shipped: made from the schemas, and taken by a real API server.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { definitionFiles } from "../../controlplane/definitions/files.js";
import { structuralSchema } from "../../controlplane/definitions/structural-schema.js";
import type { Schema } from "../../controlplane/resources/schema.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "../kube/support/cluster.js";
import { POLICY_KINDS, typeOf } from "../kube/support/custom-resources.js";

const FOLDER = join(process.cwd(), "deploy", "kubernetes", "crds");

describe("the definitions in deploy/kubernetes/crds", () => {
  test.each([...definitionFiles()])("are what the schemas make of %s (npm run deploy:crds)", (name, text) => {
    expect(readFileSync(join(FOLDER, name), "utf8")).toBe(text);
  });

  test("are not made from a keyword that nobody thought about", () => {
    expect(() => structuralSchema({ type: "string", pattern: "a" } as Schema<string>)).toThrow("pattern");
  });
});

const VIRTUAL_SERVICE = (http: object[]) => ({
  apiVersion: "networking.istio.io/v1",
  kind: "VirtualService",
  metadata: { name: "reviews", namespace: "default" },
  spec: { hosts: ["reviews"], http },
});
const ROUTE = { route: [{ destination: { host: "reviews" }, weight: 100 }] };

describe.skipIf("error" in kubeBinaries)("a cluster with these definitions", () => {
  const scope = testScope();
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster(scope);
    await cluster.kubectl(["apply", "--server-side", "-f", FOLDER]);
    for (const kind of POLICY_KINDS) {
      await eventually(`${kind} is served`, async () => await cluster.client.list(typeOf(kind), { limit: 1 }));
    }
  });

  test("holds their schemas to be structural, and their names to be accepted", async () => {
    const definitions = await cluster.client.list({
      group: "apiextensions.k8s.io",
      version: "v1",
      plural: "customresourcedefinitions",
    });
    expect(definitions.items).toHaveLength(POLICY_KINDS.length);
    for (const { status, metadata } of definitions.items) {
      const { conditions } = status as { conditions: readonly { type: string; status: string }[] };
      const standing = Object.fromEntries(conditions.map(({ type, status }) => [type, status]));
      expect(standing, metadata.name).toMatchObject({ NamesAccepted: "True", Established: "True" });
      expect(standing.NonStructuralSchema, metadata.name).toBeUndefined();
    }
  });

  test("takes the example policies", async () => {
    const policies = join(process.cwd(), "examples", "policies");
    await cluster.kubectl(["create", "namespace", "bookinfo"]);
    expect(await cluster.kubectl(["apply", "--server-side", "-R", "-f", policies])).toContain("serverside-applied");
  });

  test("serves an object in every version of Istio's, and shows its columns", async () => {
    await cluster.kubectl(["apply", "-f", "-"], JSON.stringify(VIRTUAL_SERVICE([ROUTE])));
    for (const version of ["v1", "v1beta1", "v1alpha3"]) {
      const type = { ...typeOf("VirtualService"), version };
      const got = await cluster.client.get(type, { namespace: "default", name: "reviews" });
      expect(got?.spec).toEqual(VIRTUAL_SERVICE([ROUTE]).spec);
    }
    expect(await cluster.kubectl(["get", "vs", "reviews"])).toMatch(/HOSTS.*\n.*\["reviews"\]/);
  });

  test("refuses a value of a wrong type, and one that is none of the words", async () => {
    const timeout = VIRTUAL_SERVICE([{ ...ROUTE, timeout: 5 }]);
    await expect(cluster.kubectl(["apply", "-f", "-"], JSON.stringify(timeout))).rejects.toThrow(
      "must be of type string",
    );
    const redirect = VIRTUAL_SERVICE([{ redirect: { derivePort: "GUESSED" } }]);
    await expect(cluster.kubectl(["apply", "-f", "-"], JSON.stringify(redirect))).rejects.toThrow("Unsupported value");
  });

  test("keeps a field that does not exist, so that Headgate can say so", async () => {
    const mistyped = VIRTUAL_SERVICE([{ ...ROUTE, timeuot: "5s" }]);
    await cluster.kubectl(["apply", "-f", "-"], JSON.stringify(mistyped));
    const got = await cluster.client.get(typeOf("VirtualService"), { namespace: "default", name: "reviews" });
    expect(got?.spec).toEqual(mistyped.spec);
  });

  test("keeps a status apart from what it is about", async () => {
    const at = { namespace: "default", name: "reviews" };
    const { apiVersion, kind, metadata } = VIRTUAL_SERVICE([]);
    const before = await cluster.client.get(typeOf("VirtualService"), at);
    const status = { conditions: [{ type: "Accepted", status: "True" }] };
    await cluster.client.apply(
      typeOf("VirtualService"),
      at,
      { apiVersion, kind, metadata, status },
      { fieldManager: "headgate", subresource: "status" },
    );
    const after = await cluster.client.get(typeOf("VirtualService"), at);
    expect(after).toMatchObject({ spec: before?.spec, status });
    expect(after?.metadata.generation).toBe(before?.metadata.generation);
  });
});
