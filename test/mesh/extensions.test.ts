// Extensions among the other objects of a mesh: whom they are for, their order, and what is told of them.
import { describe, expect, test } from "vitest";
import { extensionsFor } from "../../controlplane/mesh/extensions.js";
import { buildMesh } from "../../controlplane/mesh/mesh.js";
import { decodeObject } from "../../controlplane/resources/decode.js";
import { parseYaml } from "../../controlplane/sources/yaml.js";

function meshOf(...documents: readonly string[]) {
  const { objects } = parseYaml(documents.join("---\n"), "test.yaml");
  const decoded = objects.map((object) => decodeObject(object, "default"));
  expect(decoded.flatMap(({ violations }) => violations)).toEqual([]);
  return buildMesh(
    decoded.flatMap(({ resource }) => resource ?? []),
    { rootNamespace: "istio-system" },
  );
}

function plugin(name: string, spec = "", metadata = ""): string {
  return `apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: ${name}${metadata === "" ? "" : `, ${metadata}`}}
spec: {url: headgate://x@1${spec === "" ? "" : `, ${spec}`}}
`;
}

const pod = (labels: string, namespace = "default") => `apiVersion: v1
kind: Pod
metadata: {name: p-${namespace}, namespace: ${namespace}, labels: ${labels}}
`;

const GATEWAY = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec: {selector: {istio: gw, tier: edge}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
`;

const told = (...documents: readonly string[]) =>
  meshOf(...documents).violations.map(({ code, name, path }) => `${code} ${name} ${path}`);

describe("extensions", () => {
  test("stand by phase, priority, age, name, namespace and kind", () => {
    const extension = plugin("b", "", "creationTimestamp: 2020-01-01T00:00:00Z")
      .replace("WasmPlugin", "TrafficExtension")
      .replace("{url: headgate://x@1}", "{wasm: {url: headgate://x@1}}");
    const mesh = meshOf(
      plugin("unordered"),
      extension,
      plugin("b", "", "creationTimestamp: 2020-01-01T00:00:00Z"),
      plugin("a", "", "creationTimestamp: 2021-01-01T00:00:00Z"),
      plugin("high", "priority: 2147483647"),
      plugin("low", "phase: STATS, priority: -2147483648"),
      plugin("authz", "phase: AUTHZ"),
      plugin("authn", "phase: AUTHN"),
    );
    expect(mesh.extensions.map(({ kind, meta }) => `${kind[0]} ${meta.name}`)).toEqual([
      "W authn",
      "W authz",
      "W low",
      "W high",
      "W unordered",
      "T b",
      "W b",
      "W a",
    ]);
  });

  test("are for the workloads of their namespace, or of all for the root namespace, that have the labels", () => {
    const mesh = meshOf(
      plugin("own"),
      plugin("labelled", "selector: {matchLabels: {app: a}}"),
      plugin("other", "", "namespace: other"),
      plugin("root", "selector: {matchLabels: {app: a}}", "namespace: istio-system"),
    );
    const names = (namespace: string, labels: Record<string, string>) =>
      extensionsFor(mesh, { namespace, labels }).map(({ meta }) => meta.name);
    expect(names("default", { app: "a" })).toEqual(["labelled", "own", "root"]);
    expect(names("default", {})).toEqual(["own"]);
    expect(names("other", { app: "a", version: "v1" })).toEqual(["other", "root"]);
  });

  test("are told of when no workload has their labels, where workloads are known", () => {
    const selecting = plugin("p", "selector: {matchLabels: {app: a}}");
    expect(told(selecting)).toEqual([]);
    expect(told(selecting, pod("{app: a}"))).toEqual([]);
    expect(told(selecting, pod("{app: b}"))).toEqual(["unknown-workload p spec.selector"]);
    expect(told(selecting, pod("{app: a}", "other"), pod("{app: b}"))).toEqual(["unknown-workload p spec.selector"]);
    expect(told(plugin("p", "selector: {matchLabels: {istio: gw}}"), GATEWAY, pod("{app: b}"))).toEqual([]);
  });

  test("are told of when they see nothing of a gateway", () => {
    const atGateway = (match: string) => plugin("p", `selector: {matchLabels: {istio: gw}}, match: [${match}]`);
    expect(told(atGateway("{mode: SERVER}"), GATEWAY)).toEqual(["ignored-field p spec.match"]);
    expect(told(atGateway("{mode: SERVER}, {mode: CLIENT}"), GATEWAY)).toEqual([]);
  });

  test("are told of when nobody chose their order", () => {
    const authn = (name: string, spec = "") => plugin(name, `phase: AUTHN${spec === "" ? "" : `, ${spec}`}`);
    expect(told(authn("a"), authn("b"))).toEqual(["conflicting-extension b spec.phase"]);
    expect(told(authn("a"), authn("b", "priority: 1"))).toEqual([]);
    expect(told(plugin("a"), plugin("b"))).toEqual([]);
    expect(told(authn("a", "match: [{mode: CLIENT}]"), authn("b", "match: [{mode: SERVER}]"))).toEqual([]);
    expect(told(authn("a", "match: [{ports: [{number: 1}]}]"), authn("b", "match: [{ports: [{number: 2}]}]"))).toEqual(
      [],
    );
    expect(told(authn("a", "selector: {matchLabels: {x: a}}"), authn("b", "selector: {matchLabels: {x: b}}"))).toEqual(
      [],
    );
  });
});
