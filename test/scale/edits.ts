// Objects that have much to do with one another, each in several versions, and scripts of edits among them.
import fc from "fast-check";
import { parse } from "yaml";
import { decodeObject } from "../../controlplane/resources/decode.js";
import type { AnyResource } from "../../controlplane/resources/kinds.js";
import type { KeyedCertificate } from "../harness/certificates.js";

/** One edit: an object takes one of its versions, or, without one, is gone. */
export interface Edit {
  readonly object: string;
  readonly version: number | undefined;
}

export interface World {
  /** By "Kind namespace/name": the documents of its versions, as fields beside apiVersion, kind and metadata. */
  readonly objects: ReadonlyMap<string, readonly string[]>;
}

const API_VERSIONS: Readonly<Record<string, string>> = {
  Service: "v1",
  Pod: "v1",
  Secret: "v1",
  EndpointSlice: "discovery.k8s.io/v1",
  StagedRollout: "headgate.dev/v1alpha1",
  WasmPlugin: "extensions.istio.io/v1alpha1",
  TrafficExtension: "extensions.istio.io/v1alpha1",
};

export interface Script {
  readonly beginning: readonly Edit[];
  /** Each holds edits of a few objects at once, as one save of an editor or one sync of a mount brings them. */
  readonly steps: readonly (readonly Edit[])[];
}

/** Scripts that go back and forth among a few objects: what is kept too long shows when something comes back. */
export function scripts(world: World, mostSteps: number): fc.Arbitrary<Script> {
  const names = fc.shuffledSubarray([...world.objects.keys()], { minLength: 2, maxLength: 7 });
  return names.chain((focus) =>
    fc.record({
      beginning: beginnings(world),
      steps: fc.array(edits(world, focus), { minLength: 1, maxLength: mostSteps }),
    }),
  );
}

function edits(world: World, focus: readonly string[]): fc.Arbitrary<readonly Edit[]> {
  const one = fc.constantFrom(...focus).chain((object) => edit(world, object, 4));
  return fc.uniqueArray(one, { minLength: 1, maxLength: 3, selector: ({ object }) => object });
}

/** A world in which every object has the version that was drawn for it, or is missing. */
function beginnings(world: World): fc.Arbitrary<readonly Edit[]> {
  return fc.tuple(...[...world.objects.keys()].map((object) => edit(world, object, 6)));
}

/** Once in so many times the object is removed. */
function edit({ objects }: World, object: string, freq: number): fc.Arbitrary<Edit> {
  const versions = objects.get(object)?.length ?? 0;
  return fc.record({
    object: fc.constant(object),
    version: fc.option(fc.nat(versions - 1), { freq, nil: undefined }),
  });
}

/** Decodes an object anew, as a source does that reads its file. Throws when the version has an error. */
export function decodeVersion(world: World, { object, version = 0 }: Edit): AnyResource {
  const [kind = "", name = ""] = object.split(" ");
  const [namespace, own] = name.split("/");
  const fields = parse(world.objects.get(object)?.[version] ?? "");
  const value = {
    apiVersion: API_VERSIONS[kind] ?? "networking.istio.io/v1",
    kind,
    ...fields,
    metadata: { name: own, namespace, ...fields.metadata },
  };
  const { resource, violations } = decodeObject({ value, locate: () => undefined }, "default");
  if (!resource) throw new Error(`${object}, version ${version}: ${JSON.stringify(violations)}`);
  return resource;
}

/** The key of an edit's object in a source's state. */
export function keyOf({ object }: Edit): string {
  return object.replace(" ", "/");
}

const to = (host: string, more = "") => `{destination: {host: ${host}${more}}}`;
const part = (weight: number, host: string, more = "") => `{destination: {host: ${host}${more}}, weight: ${weight}}`;
const rules = (hosts: string, http: string, more = "") => `spec: {hosts: [${hosts}], ${more} http: [${http}]}`;

/** Kubernetes' kinds: services with their endpoints, from slices, pods and workload entries. */
const kubernetes: readonly (readonly [string, readonly string[]])[] = [
  [
    "Service default/a",
    [
      "spec: {clusterIP: 10.0.0.1, selector: {app: a}, ports: [{name: http, port: 80, targetPort: 8080}]}",
      "spec: {clusterIP: 10.0.0.1, selector: {app: a}, ports: [{name: http, port: 80, targetPort: 9090}]}",
      "spec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 80}, {name: tcp-db, port: 5432}]}",
      "spec: {clusterIP: 10.0.0.9, ports: [{name: tcp, port: 80}]}",
      'metadata: {annotations: {networking.istio.io/exportTo: "."}}\nspec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 80}]}',
    ],
  ],
  [
    "Service other/b",
    [
      "spec: {clusterIP: 10.0.0.2, ports: [{name: http, port: 80}]}",
      "spec: {clusterIP: 10.0.0.2, ports: [{name: http2, port: 80}, {name: http, port: 8000}]}",
      "spec: {clusterIP: None, ports: [{name: tcp-cql, port: 9042}, {name: http, port: 80}]}",
    ],
  ],
  [
    "EndpointSlice default/a-1",
    [
      "metadata: {labels: {kubernetes.io/service-name: a}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints: [{addresses: [10.1.0.1], targetRef: {kind: Pod, name: a-1}}]",
      "metadata: {labels: {kubernetes.io/service-name: a}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints: [{addresses: [10.1.0.1]}, {addresses: [10.1.0.2], zone: z2}]",
      "metadata: {labels: {kubernetes.io/service-name: b}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints: [{addresses: [10.1.0.3]}]",
    ],
  ],
  [
    "Pod default/a-1",
    [
      "metadata: {labels: {app: a, version: v1}}\nspec: {containers: [{ports: [{name: http, containerPort: 8080}]}]}\nstatus: {podIPs: [{ip: 10.1.0.1}], conditions: [{type: Ready, status: 'True'}]}",
      "metadata: {labels: {app: a, version: v2}}\nspec: {containers: [{ports: [{name: http, containerPort: 8080}]}]}\nstatus: {podIPs: [{ip: 10.1.0.1}], conditions: [{type: Ready, status: 'True'}]}",
      "metadata: {labels: {app: e}}\nspec: {}\nstatus: {podIPs: [{ip: 10.1.0.1}], conditions: [{type: Ready, status: 'False'}]}",
    ],
  ],
  ["Service default/db", ["spec: {clusterIP: 10.0.0.3, ports: [{name: tcp, port: 5432}]}"]],
  [
    "WorkloadEntry default/w",
    [
      "spec: {address: 10.2.0.1, labels: {app: e, version: v1}}",
      "spec: {address: 10.2.0.1, labels: {app: e, version: v2}, locality: eu/a}",
      "spec: {address: 10.2.0.2, labels: {app: other}}",
    ],
  ],
];

/** ServiceEntries, and everything that says how services are called. */
const traffic: readonly (readonly [string, readonly string[]])[] = [
  [
    "ServiceEntry default/e",
    [
      "spec: {hosts: [e.example.com], resolution: STATIC, location: MESH_INTERNAL, ports: [{number: 80, name: http, protocol: HTTP}], workloadSelector: {labels: {app: e}}}",
      "spec: {hosts: [e.example.com], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 10.3.0.1, labels: {version: v1}, locality: eu/a}, {address: 10.3.0.2, labels: {version: v2}, locality: us/b}]}",
      "spec: {hosts: [e.example.com, a.default.svc.cluster.local], resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}",
      'spec: {hosts: ["*.example.com"], resolution: NONE, exportTo: ["."], ports: [{number: 80, name: http, protocol: HTTP}]}',
    ],
  ],
  [
    "ServiceEntry other/e",
    [
      "spec: {hosts: [e.example.com], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 10.4.0.1}]}",
      'spec: {hosts: [f.example.com], addresses: [10.9.0.1], resolution: STATIC, exportTo: ["other"], ports: [{number: 6379, name: tcp, protocol: TCP}], endpoints: [{address: 10.4.0.2}]}',
    ],
  ],
  [
    "DestinationRule default/a",
    [
      "spec: {host: a, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}",
      "spec: {host: a, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}, subsets: [{name: v1, labels: {version: v2}}]}",
      "spec: {host: a, trafficPolicy: {tls: {mode: SIMPLE, credentialName: client}}}",
      "spec: {host: a, workloadSelector: {matchLabels: {app: client}}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}}",
      'spec: {host: a, exportTo: ["."], subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {tls: {mode: MUTUAL, credentialName: both}}}]}',
    ],
  ],
  [
    "DestinationRule istio-system/all",
    [
      'spec: {host: "*.svc.cluster.local", trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}',
      'spec: {host: "*.example.com", trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}, loadBalancer: {localityLbSetting: {failoverPriority: [rack]}}}}',
      'spec: {host: "*", trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}}}',
    ],
  ],
  [
    "DestinationRule other/e",
    [
      "spec: {host: e.example.com, subsets: [{name: v1, labels: {version: v1}}]}",
      'spec: {host: b, trafficPolicy: {portLevelSettings: [{port: {number: 80}, connectionPool: {http: {maxRetries: 9}}}]}, exportTo: ["*"]}',
    ],
  ],
  [
    "VirtualService default/a",
    [
      rules("a", `{route: [${to("a")}]}`),
      rules("a", `{name: split, route: [${part(60, "a", ", subset: v1")}, ${part(40, "a", ", subset: v2")}]}`),
      rules("a", `{match: [{sourceLabels: {app: client}}], route: [${to("e.example.com")}]}, {route: [${to("a")}]}`),
      rules("a, e.example.com", `{delegate: {name: part}, match: [{uri: {prefix: /part}}]}, {route: [${to("a")}]}`),
      rules(
        "a",
        `{mirror: {host: b.other.svc.cluster.local}, fault: {abort: {httpStatus: 500}}, route: [${to("a", ", port: {number: 80}")}]}`,
      ),
      `metadata: {annotations: {headgate.dev/fail-open: "true"}}\n${rules("a", `{match: [{port: 8000}, {sourceNamespace: other}], route: [${to("b.other.svc.cluster.local")}]}, {route: [${to("a")}]}`)}`,
      rules("a", `{route: [${to("a")}]}`, 'exportTo: ["."],'),
      `metadata: {annotations: {headgate.dev/fault-draw: try}}\n${rules("a", `{fault: {abort: {httpStatus: 500}}, route: [${part(60, "a", ", subset: v1")}, ${part(40, "e.example.com")}]}`)}`,
      `metadata: {annotations: {headgate.dev/fault-draw: try}}\n${rules("a", `{fault: {abort: {httpStatus: 500}}, route: [${to("b.other.svc.cluster.local", ", port: {number: 80}")}]}`)}`,
    ],
  ],
  [
    "VirtualService default/part",
    [
      `spec: {http: [{name: split, match: [{uri: {prefix: /part/x}}], route: [${to("b.other.svc.cluster.local")}]}]}`,
      `spec: {http: [{route: [${to("a", ", subset: v1")}]}]}`,
      rules("part.example.com", `{route: [${to("e.example.com", ", subset: v1")}]}`),
    ],
  ],
  [
    "VirtualService default/b",
    [
      rules("b.other.svc.cluster.local", `{route: [${to("b.other.svc.cluster.local")}], timeout: 3s}`),
      rules("a", `{route: [${to("e.example.com")}]}`),
      rules(
        "web.example.com",
        `{name: split, route: [${part(50, "a")}, ${part(50, "e.example.com")}]}`,
        "gateways: [gw, mesh],",
      ),
      "spec: {hosts: [b.other.svc.cluster.local], tcp: [{match: [{port: 9042}], route: [{destination: {host: a, port: {number: 5432}}}]}]}",
      "spec: {hosts: [e.example.com], tls: [{match: [{port: 443, sniHosts: [e.example.com]}], route: [{destination: {host: a, port: {number: 80}}}]}]}",
    ],
  ],
  [
    "VirtualService default/db",
    [
      "spec: {hosts: [db], tcp: [{route: [{destination: {host: a}}]}]}",
      "spec: {hosts: [db], tcp: [{match: [{sourceLabels: {app: client}}], route: [{destination: {host: a}}]}]}",
      "spec: {hosts: [db], http: [{route: [{destination: {host: db}}]}]}",
    ],
  ],
  [
    "VirtualService other/web",
    [
      rules("web.example.com", `{match: [{uri: {prefix: /x}}], route: [${to("b")}]}`, "gateways: [default/gw],"),
      rules("web.example.com, a.example.com", `{route: [${to("e.example.com")}]}`, "gateways: [default/gw],"),
      rules('"*.example.com"', `{route: [${to("b", ", subset: v1")}]}`),
      `metadata: {annotations: {headgate.dev/fault-draw: try}}\n${rules("web.example.com", `{fault: {abort: {httpStatus: 500}}, route: [${to("e.example.com")}]}`, "gateways: [default/gw],")}`,
    ],
  ],
  [
    "StagedRollout default/split",
    [
      "spec: {virtualService: a, route: split, sticky: {header: x-user}}",
      "spec: {virtualService: a, route: split, override: {header: x-v, values: {one: v1}}}",
      "spec: {virtualService: part, route: split, sticky: {cookie: u}}",
      'spec: {virtualService: b, route: split, ramp: [{at: "2026-01-01T00:00:00Z", weights: {a: 0, e.example.com: 100}}]}',
    ],
  ],
];

/** Gateways and Sidecars. */
const scopes: readonly (readonly [string, readonly string[]])[] = [
  [
    "Gateway default/gw",
    [
      'spec: {selector: {istio: gw}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}',
      "spec: {selector: {istio: gw}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [web.example.com], tls: {mode: SIMPLE, credentialName: both}}]}",
      'spec: {selector: {istio: gw}, servers: [{port: {number: 15443, name: auto, protocol: TLS}, hosts: ["*.local"], tls: {mode: AUTO_PASSTHROUGH}}, {port: {number: 80, name: http, protocol: HTTP}, hosts: ["other/*"], tls: {httpsRedirect: true}}]}',
      'spec: {selector: {istio: nobody}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}',
    ],
  ],
  [
    "Gateway other/gw",
    [
      'spec: {selector: {istio: gw}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["./web.example.com"]}]}',
      'spec: {selector: {istio: gw}, servers: [{port: {number: 5432, name: tcp, protocol: TCP}, hosts: ["*"]}]}',
    ],
  ],
  [
    "Sidecar default/default",
    [
      'spec: {egress: [{hosts: ["./*"]}]}',
      'spec: {egress: [{hosts: ["*/*"]}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}}',
      'spec: {egress: [{port: {number: 80, protocol: HTTP, name: http}, bind: 127.0.0.9, hosts: ["./a.default.svc.cluster.local"]}, {hosts: ["other/*"]}]}',
      "spec: {ingress: [{port: {number: 8080, protocol: HTTP, name: http}, defaultEndpoint: 127.0.0.1:9000}]}",
    ],
  ],
  [
    "Sidecar default/client",
    [
      'spec: {workloadSelector: {labels: {app: client}}, egress: [{hosts: ["other/*"]}]}',
      'spec: {workloadSelector: {labels: {app: other}}, egress: [{hosts: ["~/*"]}]}',
    ],
  ],
  ["Sidecar istio-system/default", ['spec: {egress: [{hosts: ["./*", "istio-system/*"]}]}']],
];

/** Extensions of the filter chain; in one place or another, and for some or others. */
const extensions: readonly (readonly [string, readonly string[]])[] = [
  [
    "WasmPlugin default/w",
    [
      "spec: {url: headgate://w@1, phase: AUTHN}",
      "spec: {url: headgate://w@1, phase: AUTHN, priority: 3, failStrategy: FAIL_OPEN}",
      "spec: {url: headgate://w@1, selector: {matchLabels: {app: client}}, match: [{mode: CLIENT, ports: [{number: 80}]}]}",
      "spec: {url: headgate://w@2, selector: {matchLabels: {istio: gw}}, match: [{mode: SERVER}], pluginConfig: {a: 1}}",
    ],
  ],
  ["WasmPlugin istio-system/w", ["spec: {url: headgate://w@1}", "spec: {url: headgate://w@1, phase: AUTHN}"]],
  [
    "TrafficExtension default/w",
    [
      "spec: {phase: AUTHN, wasm: {url: headgate://w@1}}",
      "spec: {wasm: {url: headgate://w@1}, priority: 1}",
      "spec: {lua: {inlineCode: x}}",
    ],
  ],
];

/** The credentials are real ones, because they are checked. */
export function createWorld(authority: string, one: KeyedCertificate, two: KeyedCertificate): World {
  const secret = (entries: Readonly<Record<string, string>>) => JSON.stringify({ stringData: entries });
  const pair = ({ certificate, privateKey }: KeyedCertificate) => ({ "tls.crt": certificate, "tls.key": privateKey });
  const secrets: readonly (readonly [string, readonly string[]])[] = [
    ["Secret default/client", [secret({ "ca.crt": authority }), secret({ cacert: `${authority}\n${authority}` })]],
    [
      "Secret default/both",
      [secret({ ...pair(one), "ca.crt": authority }), secret({ ...pair(two), "ca.crt": authority }), secret(pair(one))],
    ],
    ["Secret other/both", [secret({ ...pair(two), "ca.crt": authority })]],
    ["Secret default/both-cacert", [secret({ "ca.crt": `${authority}\n${authority}` })]],
  ];
  return { objects: new Map([...kubernetes, ...traffic, ...scopes, ...extensions, ...secrets]) };
}
