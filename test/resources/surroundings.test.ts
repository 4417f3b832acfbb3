// The kinds that say where workloads stand and how they come in: Node, Namespace, WorkloadGroup.
import { describe, expect, test } from "vitest";
import { decodeValue } from "./decoding.js";

const core = (kind: string, metadata: object, rest: object = {}) => ({ apiVersion: "v1", kind, metadata, ...rest });
const group = (spec: unknown) => ({
  apiVersion: "networking.istio.io/v1",
  kind: "WorkloadGroup",
  metadata: { name: "vms" },
  spec,
});
const faults = (value: unknown) =>
  decodeValue(value).violations.map(({ severity, code, path }) => `${severity} ${code} ${path}`);

describe("a Node", () => {
  test.each([
    [
      { "topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": "z", "topology.istio.io/subzone": "s" },
      "r/z/s",
    ],
    [{ "topology.kubernetes.io/region": "r" }, "r"],
    [{ "topology.kubernetes.io/zone": "z" }, "/z"],
    [{ "failure-domain.beta.kubernetes.io/region": "r", "failure-domain.beta.kubernetes.io/zone": "z" }, "r/z"],
    [{}, ""],
  ])("with the labels %j stands in %j", (labels, locality) => {
    const { resource, violations } = decodeValue(core("Node", { name: "n", labels }, { spec: {}, status: {} }));
    expect([resource?.spec, violations]).toEqual([{ locality }, []]);
  });
});

describe("a Namespace", () => {
  test("keeps its labels and annotations", () => {
    const metadata = { name: "a", labels: { team: "x" }, annotations: { note: "y" } };
    const { resource } = decodeValue(core("Namespace", metadata, { spec: { finalizers: ["kubernetes"] } }));
    expect(resource?.meta).toMatchObject(metadata);
  });
});

describe("a WorkloadGroup", () => {
  test("is decoded with its template", () => {
    const { resource, violations } = decodeValue(
      group({
        metadata: { labels: { app: "a" }, annotations: { note: "x" } },
        template: { ports: { http: 8080 }, serviceAccount: "a", locality: "r/z", weight: 2, network: "n" },
      }),
    );
    expect(violations).toEqual([]);
    expect(resource?.spec).toMatchObject({
      metadata: { labels: { app: "a" }, annotations: { note: "x" } },
      template: { ports: new Map([["http", 8080]]), serviceAccount: "a", locality: "r/z", weight: 2 },
    });
  });

  test("needs a template, which has no address and no labels", () => {
    expect(faults(group({}))).toEqual(["error missing-field spec.template"]);
    expect(faults(group({ template: { address: "10.0.0.1", labels: { app: "a" } } }))).toEqual([
      "warning ignored-field spec.template.address",
      "warning ignored-field spec.template.labels",
    ]);
  });

  test("may not probe, nor have labels that are none", () => {
    const spec = { metadata: { labels: { app: "not a label" } }, template: {}, probe: { periodSeconds: 5 } };
    expect(faults(group(spec)).sort()).toEqual([
      "error invalid-name spec.metadata.labels.app",
      "error unsupported-field spec.probe",
    ]);
  });
});
