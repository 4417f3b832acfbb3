// Faults between objects: each is found where it stands, and is gone once it is mended.
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { buildMesh } from "../../controlplane/mesh/mesh.js";
import { decodeObject } from "../../controlplane/resources/decode.js";
import type { AnyResource } from "../../controlplane/resources/kinds.js";

/** The kinds by what is written in place of apiVersion and kind. */
const API: Readonly<Record<string, string>> = { Secret: "v1", Namespace: "v1" };

/** `objects` are `Kind namespace/name`, with the spec in YAML flow; the n-th is made in the n-th second. */
function found(objects: Readonly<Record<string, string>>): string[] {
  const resources = Object.entries(objects).map(([title, spec], index): AnyResource => {
    const [kind = "", namespace = "", name = ""] = title.split(/[ /]/);
    const created = new Date(index * 1000).toISOString();
    const body = kind === "Secret" ? parse(spec) : { spec: parse(spec) };
    const apiVersion = API[kind] ?? "networking.istio.io/v1";
    const value = { apiVersion, kind, metadata: { name, namespace, creationTimestamp: created }, ...(body as object) };
    const { resource, violations } = decodeObject({ value, locate: () => undefined }, "default");
    expect(violations.filter(({ severity }) => severity === "error")).toEqual([]);
    return resource as AnyResource;
  });
  const { violations } = buildMesh(resources, { rootNamespace: "istio-system" });
  return violations.map(({ code, kind, namespace, name, path }) => `${code} ${kind} ${namespace}/${name} ${path}`);
}

const SERVICE = {
  "ServiceEntry shop/cart":
    "{hosts: [cart.shop.svc.cluster.local], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}]}",
  "DestinationRule shop/cart": "{host: cart, subsets: [{name: v1, labels: {version: v1}}]}",
};
const TO_CART = "route: [{destination: {host: cart}}]";
const rules = (...http: string[]) => ({ ...SERVICE, "VirtualService shop/r": `{hosts: [cart], http: [${http}]}` });
const path = (index: number, rest = "") => `VirtualService shop/r spec.http[${index}]${rest}`;

describe("a destination", () => {
  test("must be a visible service, with the port and the subset that are named", () => {
    expect(found(rules("{route: [{destination: {host: kart}}]}"))).toEqual([
      `unknown-host ${path(0, ".route[0].destination.host")}`,
    ]);
    expect(found(rules("{route: [{destination: {host: cart, port: {number: 81}}}]}"))).toEqual([
      `unknown-port ${path(0, ".route[0].destination.port")}`,
    ]);
    expect(found(rules("{route: [{destination: {host: cart, subset: v2}}]}"))).toEqual([
      `unknown-subset ${path(0, ".route[0].destination.subset")}`,
    ]);
    const mirror = "mirror: {host: kart}";
    expect(found(rules(`{${TO_CART}, ${mirror}}`))).toEqual([`unknown-host ${path(0, ".mirror.host")}`]);
    expect(found(rules("{route: [{destination: {host: cart, subset: v1, port: {number: 80}}}]}"))).toEqual([]);
  });

  test("of tls and tcp rules must be there too", () => {
    const l4 = `{hosts: [cart], tcp: [{route: [{destination: {host: x}}]}], tls: [{match: [{sniHosts: [cart]}], route: [{destination: {host: y}}]}]}`;
    expect(found({ ...SERVICE, "VirtualService shop/r": l4 })).toEqual([
      "unknown-host VirtualService shop/r spec.tls[0].route[0].destination.host",
      "unknown-host VirtualService shop/r spec.tcp[0].route[0].destination.host",
    ]);
  });

  test("of a delegate is told of where the delegate writes it, and means the delegate's namespace", () => {
    const root = `{hosts: [cart], http: [{match: [{uri: {prefix: /a}}], ${TO_CART}}, {match: [{uri: {prefix: /b}}], delegate: {name: d, namespace: team}}]}`;
    const delegate =
      "{http: [{match: [{uri: {prefix: /b/c}}], route: [{destination: {host: own}}]}, {route: [{destination: {host: kart}}]}]}";
    const own =
      "{hosts: [own.team.svc.cluster.local], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}]}";
    const objects = { ...SERVICE, "VirtualService shop/r": root, "VirtualService team/d": delegate };
    expect(found({ ...objects, "ServiceEntry team/own": own })).toEqual([
      "unknown-host VirtualService team/d spec.http[1].route[0].destination.host",
    ]);
  });
});

test("a subset must have the labels of some endpoint, where the service has endpoints", () => {
  const subsets = (endpoints: string) => ({
    "ServiceEntry shop/cart": `{hosts: [cart.shop.svc.cluster.local], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: ${endpoints}}`,
    "DestinationRule shop/cart":
      "{host: cart, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}, {name: all}]}",
  });
  const empty = (index: number) => `unknown-workload DestinationRule shop/cart spec.subsets[${index}].labels`;
  expect(found(subsets("[{address: 10.0.0.1, labels: {version: v1, app: a}}]"))).toEqual([empty(1)]);
  expect(found(subsets("[{address: 10.0.0.1, labels: {version: v3}}]"))).toEqual([empty(0), empty(1)]);
  expect(
    found(subsets("[{address: 10.0.0.1, labels: {version: v1}}, {address: 10.0.0.2, labels: {version: v2}}]")),
  ).toEqual([]);
  expect(found(subsets("[]"))).toEqual([]);
});

describe("a host that no server of its Gateways takes", () => {
  const at = (hosts: string, gateways = "[g]") => ({
    ...SERVICE,
    "Gateway shop/g":
      "{selector: {a: b}, servers: [{port: {number: 80, name: p, protocol: HTTP}, hosts: ['./a.com', 'other/b.com', '*.c.com']}]}",
    "Gateway shop/h": "{selector: {a: b}, servers: [{port: {number: 80, name: p, protocol: HTTP}, hosts: [d.com]}]}",
    "VirtualService shop/r": `{hosts: ${hosts}, gateways: ${gateways}, http: [{${TO_CART}}]}`,
  });
  const ignored = (index: number) => `ignored-field VirtualService shop/r spec.hosts[${index}]`;

  test("is told to have no effect there", () => {
    expect(found(at("[a.com, b.com, d.com]"))).toEqual([ignored(1), ignored(2)]);
    expect(found(at("[c.com]"))).toEqual([ignored(0)]);
  });

  test("but not when another takes it, a wildcard does, or it is for sidecars too", () => {
    expect(found(at("[a.com, d.com]", "[g, h]"))).toEqual([]);
    expect(found(at("[x.c.com]"))).toEqual([]);
    expect(found(at("['*.com']"))).toEqual([]);
    expect(found(at("[cart, b.com]", "[g, mesh]"))).toEqual([]);
    expect(found(at("[b.com]", "[g, absent]"))).toEqual(["unknown-gateway VirtualService shop/r spec.gateways[1]"]);
  });
});

describe("http rules for a service without an HTTP port", () => {
  const port = (protocol: string) => ({
    "ServiceEntry shop/cart": `{hosts: [cart.shop.svc.cluster.local], resolution: STATIC, ports: [{number: 80, name: p, protocol: ${protocol}}]}`,
  });
  const ignored = ["ignored-field VirtualService shop/r spec.hosts[0]"];

  test.each(["TCP", "HTTPS"])("are told to have no effect in sidecars: %s", (protocol) => {
    expect(found({ ...rules(`{${TO_CART}}`), ...port(protocol) })).toEqual(ignored);
  });

  test.each(["HTTP", "HTTP2", "GRPC"])("but not with %s", (protocol) => {
    expect(found({ ...rules(`{${TO_CART}}`), ...port(protocol) })).toEqual([]);
  });

  test("but not when they are for gateways alone", () => {
    const bound = (rest: string) => ({
      ...SERVICE,
      ...port("TCP"),
      "Gateway shop/g": "{selector: {a: b}, servers: [{port: {number: 80, name: p, protocol: HTTP}, hosts: ['*']}]}",
      "VirtualService shop/r": `{hosts: [cart], ${rest}}`,
    });
    expect(found(bound(`gateways: [g], http: [{${TO_CART}}]`))).toEqual([]);
    expect(found(bound(`gateways: [g, mesh], http: [{match: [{gateways: [g]}], ${TO_CART}}]`))).toEqual([]);
    expect(found(bound(`gateways: [g, mesh], http: [{${TO_CART}}]`))).toEqual(ignored);
  });
});

describe("a rule is never reached", () => {
  const rule = (match: string) => `{match: [${match}], ${TO_CART}}`;
  const unreachable = (...http: string[]) => found(rules(...http));

  test.each([
    ["behind one without conditions", [`{${TO_CART}}`, rule("{uri: {prefix: /a}}")]],
    ["behind one that takes every path", [rule("{uri: {prefix: /}}"), rule("{headers: {a: {exact: b}}}")]],
    ["behind its equal", [rule("{headers: {a: {exact: b}, c: {}}}"), rule("{headers: {c: {}, a: {exact: b}}}")]],
    ["behind a shorter prefix", [rule("{uri: {prefix: /a}}"), rule("{uri: {exact: /a/b}}")]],
    [
      "behind a shorter prefix of the same method",
      [rule("{method: {exact: GET}, uri: {prefix: /a}}"), rule("{uri: {prefix: /a/b}, method: {exact: GET}}")],
    ],
    [
      "when each alternative is taken by some rule",
      [rule("{uri: {prefix: /a}}, {uri: {prefix: /b}}"), rule("{uri: {prefix: /b/1}}, {uri: {exact: /a}}")],
    ],
  ])("%s", (_, http) => {
    expect(unreachable(...http)).toEqual([`unreachable-rule ${path(1)}`]);
  });

  test.each([
    ["one alternative is its own", [rule("{uri: {prefix: /a}}"), rule("{uri: {prefix: /a/b}}, {uri: {prefix: /c}}")]],
    ["the earlier asks for more", [rule("{uri: {prefix: /a}, method: {exact: GET}}"), rule("{uri: {prefix: /a/b}}")]],
    ["the earlier's path is longer", [rule("{uri: {prefix: /a/b}}"), rule("{uri: {prefix: /a}}")]],
    ["the earlier's path is exact", [rule("{uri: {exact: /a}}"), rule("{uri: {prefix: /a}}")]],
    [
      "case counts in the earlier alone",
      [rule("{uri: {prefix: /a}}"), rule("{uri: {prefix: /a/b}, ignoreUriCase: true}")],
    ],
    ["ports differ", [rule("{port: 80}"), rule("{port: 81}")]],
    ["an expression may match more", [rule("{uri: {prefix: /a}}"), rule("{uri: {regex: /a.*}}")]],
  ])("but not when %s", (_, http) => {
    expect(unreachable(...http)).toEqual([]);
  });

  test("which is found in 10,000 rules by looking at each once", () => {
    const many = Array.from({ length: 10_000 }, (_, index) => rule(`{uri: {prefix: /${index}x}}`));
    expect(unreachable(...many, rule("{uri: {exact: /77x/y}}"))).toEqual([`unreachable-rule ${path(10_000)}`]);
  });

  test("and is told of where it is written, with a delegate's before it", () => {
    const root = `{hosts: [cart], http: [{match: [{uri: {prefix: /b}}], delegate: {name: d}}, {match: [{uri: {exact: /b/1}}], ${TO_CART}}]}`;
    const delegate = `{http: [{match: [{uri: {prefix: /b/1}}], ${TO_CART}}, {match: [{uri: {prefix: /b/2}}], ${TO_CART}}]}`;
    expect(found({ ...SERVICE, "VirtualService shop/r": root, "VirtualService shop/d": delegate })).toEqual([
      `unreachable-rule ${path(1)}`,
    ]);
  });
});

describe("objects that contradict each other", () => {
  const one = `{hosts: [cart], http: [{${TO_CART}}]}`;

  test("are told to the younger VirtualService, where both are seen together", () => {
    const both = { ...SERVICE, "VirtualService shop/a": one, "VirtualService shop/b": one };
    expect(found(both)).toEqual(["conflicting-virtual-service VirtualService shop/b spec.hosts[0]"]);
    const seenBy = (namespace: string) => one.replace("{", `{exportTo: ["${namespace}"], `);
    const apart = { "VirtualService shop/a": seenBy("."), "VirtualService shop/b": seenBy("other") };
    expect(found({ ...SERVICE, ...apart })).toEqual([]);
  });

  test("are told to the younger DestinationRule: its policy, or the subset that is there twice", () => {
    const policy = "{host: cart, trafficPolicy: {loadBalancer: {simple: RANDOM}}, subsets: [{name: v1}]}";
    expect(found({ ...SERVICE, "DestinationRule shop/z": policy })).toEqual([
      "conflicting-destination-rule DestinationRule shop/z spec.subsets[0]",
    ]);
    const again = { ...SERVICE, "DestinationRule shop/y": "{host: cart, trafficPolicy: {connectionPool: {}}}" };
    expect(
      found({ ...again, "DestinationRule shop/z": "{host: cart, trafficPolicy: {outlierDetection: {}}}" }),
    ).toEqual(["conflicting-destination-rule DestinationRule shop/z spec.trafficPolicy"]);
  });

  test("are told to the younger Gateway, where one port would be read in two ways", () => {
    const gateway = (protocol: string, more = "") =>
      `{selector: {app: gw}, servers: [{port: {number: 8080, name: p, protocol: ${protocol}}, hosts: ["*"]${more}}]}`;
    const both = { "Gateway shop/a": gateway("HTTP"), "Gateway shop/b": gateway("TCP") };
    expect(found(both)).toEqual(["conflicting-port Gateway shop/b spec.servers[0].port"]);
    expect(found({ ...both, "Gateway shop/b": gateway("HTTP") })).toEqual([]);
    expect(found({ ...both, "Gateway shop/b": gateway("TCP", ", bind: 10.0.0.1") })).toEqual([]);
  });

  test("are told to the younger Sidecar that selects nobody", () => {
    const all = '{egress: [{hosts: ["*/*"]}]}';
    expect(found({ "Sidecar shop/a": all, "Sidecar shop/b": all })).toEqual([
      "conflicting-sidecar Sidecar shop/b spec",
    ]);
    const some = all.replace("{", "{workloadSelector: {labels: {a: b}}, ");
    expect(found({ "Sidecar shop/a": all, "Sidecar shop/b": some })).toEqual([]);
  });
});

describe("a reference that leads nowhere", () => {
  test("is a gateway that is not there", () => {
    const bound = { ...SERVICE, "VirtualService shop/r": `{hosts: [cart], gateways: [gw], http: [{${TO_CART}}]}` };
    expect(found(bound)).toEqual(["unknown-gateway VirtualService shop/r spec.gateways[0]"]);
    const gateway = '{selector: {app: gw}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}';
    expect(found({ ...bound, "Gateway shop/gw": gateway })).toEqual([]);
  });

  test("is a secret that the gateway's proxies cannot get", () => {
    const server =
      "{port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.b], tls: {mode: SIMPLE, credentialName: c}}";
    const gateway = { "Gateway shop/gw": `{selector: {app: gw}, servers: [${server}]}` };
    expect(found(gateway)).toEqual(["unknown-secret Gateway shop/gw spec.servers[0].tls.credentialName"]);
    expect(found({ ...gateway, "Secret shop/c": "{data: {}}" })).toEqual([]);
  });

  test("is a secret that no client of a DestinationRule can get", () => {
    const tls = "tls: {mode: SIMPLE, credentialName: c}";
    const rule = (more: string) => ({
      ...SERVICE,
      "DestinationRule shop/cart": `{host: cart, trafficPolicy: {${tls}}${more}}`,
    });
    const where = "DestinationRule shop/cart spec.trafficPolicy.tls.credentialName";
    expect(found(rule(""))).toEqual([`unknown-secret ${where}`]);
    expect(found({ ...rule(""), "Secret web/c": "{data: {}}" })).toEqual([]);
    const selected = rule(", workloadSelector: {matchLabels: {app: a}}");
    expect(found({ ...selected, "Secret web/c": "{data: {}}" })).toEqual([`unknown-secret ${where}`]);
    expect(found({ ...selected, "Secret shop/c-cacert": "{data: {}}" })).toEqual([]);
    const deep = `{host: cart, subsets: [{name: v1, trafficPolicy: {portLevelSettings: [{port: {number: 80}, ${tls}}]}}]}`;
    expect(found({ ...SERVICE, "DestinationRule shop/cart": deep })).toEqual([
      "unknown-secret DestinationRule shop/cart spec.subsets[0].trafficPolicy.portLevelSettings[0].tls.credentialName",
    ]);
  });

  test("is a delegate that is not there, and a DestinationRule's host", () => {
    expect(found(rules("{delegate: {name: d}}"))).toEqual([`unknown-route ${path(0, ".delegate")}`]);
    expect(found({ "DestinationRule shop/x": "{host: nobody}" })).toEqual([
      "unknown-host DestinationRule shop/x spec.host",
    ]);
  });
});

describe("what is easily a slip", () => {
  test("is weights that do not sum to 100", () => {
    const split = (a: number, b: number) =>
      rules(
        `{route: [{destination: {host: cart}, weight: ${a}}, {destination: {host: cart, subset: v1}, weight: ${b}}]}`,
      );
    expect(found(split(70, 20))).toEqual([`invalid-weight ${path(0, ".route")}`]);
    expect(found(split(70, 30))).toEqual([]);
  });

  test("is a Sidecar that does not import what rules of its namespace are for", () => {
    const sidecar = (hosts: string) => ({
      ...rules(`{${TO_CART}}`),
      "Sidecar shop/default": `{egress: [{hosts: [${hosts}]}]}`,
    });
    expect(found(sidecar('"web/*"'))).toEqual(["hidden-by-sidecar VirtualService shop/r spec.hosts[0]"]);
    expect(found(sidecar('"./*"'))).toEqual([]);
  });
});
