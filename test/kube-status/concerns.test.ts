// Which policies a proxy's acknowledgement counts for.
import { describe, expect, test } from "vitest";
import { Concerns } from "../../controlplane/kube-status/concerns.js";
import type { Proxy } from "../../controlplane/proxy/proxy.js";
import { Slices } from "../../controlplane/publish/slices.js";
import { meshOf, objectsOf, proxyOf } from "./support/objects.js";

async function concerning(proxy: Proxy, ...documents: readonly string[]): Promise<readonly string[]> {
  const mesh = meshOf(objectsOf(documents.join("---\n")));
  const concerns = new Concerns();
  const ofView = await new Slices(10).finish(concerns.ofView(mesh, proxy));
  return [...ofView, ...concerns.ofProxy(mesh, proxy)].map((key) => key.replace("/default/", " ")).sort();
}

const istio = (kind: string, name: string, spec: string, group = "networking.istio.io/v1") =>
  `apiVersion: ${group}
kind: ${kind}
metadata: {name: ${name}, namespace: ${name.split(".")[1] ?? "default"}}
spec: ${spec}
`.replace(/name: (\w+)\.\w+,/, "name: $1,");

const entry = (name: string, more = "") =>
  istio(
    "ServiceEntry",
    name,
    `{hosts: [${name.split(".")[0]}.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC${more}}`,
  );
const rule = (name: string, more = "") =>
  istio(
    "VirtualService",
    name,
    `{hosts: [${name}.example.com], http: [{name: all, route: [{destination: {host: ${name}.example.com}}]}]${more}}`,
  );
const subsets = (name: string, host: string, more = "") => istio("DestinationRule", name, `{host: "${host}"${more}}`);

describe("a sidecar is concerned", () => {
  const sidecar = proxyOf("client", { labels: { app: "client" } });

  test("with what is exported to its namespace, and not with what is not", async () => {
    const all = [entry("a"), rule("a"), subsets("a", "a.example.com"), subsets("wild", "*.example.com")];
    expect(await concerning(sidecar, ...all)).toEqual([
      "DestinationRule a",
      "DestinationRule wild",
      "ServiceEntry a",
      "VirtualService a",
    ]);
    const hidden = [entry("b.other", ", exportTo: [.]"), subsets("b.other", "b.example.com", ", exportTo: [.]")];
    expect(await concerning(sidecar, ...hidden)).toEqual([]);
    expect(await concerning(proxyOf("x", { namespace: "other" }), ...hidden)).toEqual([
      "DestinationRule/other/b",
      "ServiceEntry/other/b",
    ]);
  });

  test("with rules for the mesh alone, not with those of gateways or for hosts that it does not reach", async () => {
    expect(await concerning(sidecar, entry("a"), rule("a", ", gateways: [front]"))).toEqual(["ServiceEntry a"]);
    expect(await concerning(sidecar, entry("a"), rule("a", ", gateways: [front, mesh]"))).toEqual([
      "ServiceEntry a",
      "VirtualService a",
    ]);
    expect(await concerning(sidecar, entry("a"), subsets("b", "b.example.com"))).toEqual(["ServiceEntry a"]);
  });

  test("with what its Sidecar imports, and with what that refers to", async () => {
    const imported = istio("Sidecar", "narrow", '{egress: [{hosts: ["./a.example.com"]}]}');
    const toB = rule("a").replace("{host: a.example.com}", "{host: b.example.com}");
    expect(
      await concerning(sidecar, imported, entry("a"), entry("b"), entry("c"), toB, subsets("b", "b.example.com")),
    ).toEqual(["DestinationRule b", "ServiceEntry a", "ServiceEntry b", "Sidecar narrow", "VirtualService a"]);
  });

  test("with delegates of its rules, rollouts of their routes and entries of its services' workloads", async () => {
    const root = istio("VirtualService", "root", "{hosts: [a.example.com], http: [{delegate: {name: part}}]}");
    const part = istio(
      "VirtualService",
      "part",
      "{http: [{name: all, route: [{destination: {host: a.example.com}}]}]}",
    );
    expect(await concerning(sidecar, entry("a"), root, part)).toEqual([
      "ServiceEntry a",
      "VirtualService part",
      "VirtualService root",
    ]);
    const rollout = (of: string) =>
      istio(
        "StagedRollout",
        of,
        `{virtualService: ${of}, route: all, sticky: {sourceAddress: true}}`,
        "headgate.dev/v1alpha1",
      );
    expect(await concerning(sidecar, entry("a"), rule("a"), rollout("a"), rollout("b"))).toEqual([
      "ServiceEntry a",
      "StagedRollout a",
      "VirtualService a",
    ]);
    const selecting = entry("a", ", workloadSelector: {labels: {app: a}}");
    const workload = (app: string) => istio("WorkloadEntry", app, `{address: 10.0.0.9, labels: {app: ${app}}}`);
    expect(await concerning(sidecar, selecting, workload("a"), workload("b"))).toEqual([
      "ServiceEntry a",
      "WorkloadEntry a",
    ]);
  });

  test("with the extensions that select it", async () => {
    const plugin = (app: string) =>
      istio(
        "WasmPlugin",
        app,
        `{url: headgate://x@1, selector: {matchLabels: {app: ${app}}}}`,
        "extensions.istio.io/v1alpha1",
      );
    expect(await concerning(sidecar, plugin("client"), plugin("other"))).toEqual(["WasmPlugin client"]);
  });
});

describe("a gateway is concerned", () => {
  const gateway = proxyOf("front", { role: "router", labels: { istio: "front" } });
  const server = (name: string) =>
    istio(
      "Gateway",
      name,
      `{selector: {istio: ${name}}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}`,
    );

  test("with the Gateways that select it and what is bound to them", async () => {
    const bound = [rule("a", ", gateways: [front]"), rule("b", ", gateways: [back]"), rule("c")];
    expect(await concerning(gateway, server("front"), server("back"), entry("a"), ...bound)).toEqual([
      "Gateway front",
      "ServiceEntry a",
      "VirtualService a",
    ]);
  });
});

test("What concerned a proxy is found anew when a policy changes, and is the same otherwise", async () => {
  const concerns = new Concerns();
  const sidecar = proxyOf("client");
  const find = (mesh: ReturnType<typeof meshOf>) => new Slices(10).finish(concerns.ofView(mesh, sidecar));
  const mesh = meshOf(objectsOf(entry("a")));
  const first = await find(mesh);
  expect(await find(mesh)).toBe(first);
  expect(await find(meshOf(objectsOf(`${entry("a")}---\n${rule("a")}`)))).toHaveLength(2);
});

test("What namespaces see alike is found once for all of them, and apart for those that see more, less or something else", async () => {
  const own = entry("a.own", ", exportTo: [.]");
  const preferred = istio(
    "ServiceEntry",
    "a.preferring",
    "{hosts: [b.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC}",
  );
  const selecting = subsets("sub.selecting", "b.example.com", ", workloadSelector: {matchLabels: {app: x}}");
  const narrow = istio("Sidecar", "narrow.narrowed", '{egress: [{hosts: ["./*"]}]}');
  const mesh = meshOf(objectsOf([entry("b"), rule("b"), own, preferred, selecting, narrow].join("---\n")));
  const concerns = new Concerns();
  const seen = async (namespace: string) => {
    const proxy = proxyOf("x", { namespace, labels: { app: "x" } });
    return new Slices(10).finish(concerns.ofView(mesh, proxy));
  };
  const [one, two] = [await seen("one"), await seen("two")];
  expect(two).toBe(one);
  expect([...one].sort()).toEqual(["ServiceEntry/default/b", "VirtualService/default/b"]);
  const others = ["own", "preferring", "selecting", "narrowed"].map(async (namespace) =>
    [...(await seen(namespace))].sort(),
  );
  expect(await Promise.all(others)).toEqual([
    ["ServiceEntry/default/b", "ServiceEntry/own/a", "VirtualService/default/b"],
    ["ServiceEntry/preferring/a", "VirtualService/default/b"],
    ["DestinationRule/selecting/sub", "ServiceEntry/default/b", "VirtualService/default/b"],
    ["Sidecar/narrowed/narrow"],
  ]);
});
