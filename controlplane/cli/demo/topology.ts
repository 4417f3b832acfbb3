// Who is in the demo: every workload with its service, version, namespace and place in the network.

export interface Workload {
  readonly name: string;
  readonly service: string;
  readonly version: string;
  readonly namespace: string;
  /** The last number of its address. */
  readonly host: number;
}

/** Where every service of the demo is to be had: the port of its Service, and of each sidecar's outbound listener. */
export const SERVICE_PORT = 9080;
export const NAMESPACE = "bookinfo";

/** Bookinfo: a program each, behind a sidecar each. */
export const SIDECARS: readonly Workload[] = [
  bookinfo("productpage", "v1", 10),
  bookinfo("details", "v1", 20),
  bookinfo("reviews", "v1", 31),
  bookinfo("reviews", "v2", 32),
  bookinfo("reviews", "v3", 33),
  bookinfo("ratings", "v1", 40),
];

/** Services without a sidecar, for the policies that bookinfo gives no occasion for. */
export const PLAIN: readonly Workload[] = [
  ...["v1", "v2", "v3"].flatMap((version, v) =>
    ["a", "b", "c"].map((letter, i) => ({
      name: `my-svc-${version}-${letter}`,
      service: "my-svc",
      version,
      namespace: NAMESPACE,
      host: 50 + v * 3 + i,
    })),
  ),
  { name: "shop-v1", service: "shop", version: "v1", namespace: "other", host: 70 },
  { name: "telemetry-v1", service: "telemetry", version: "v1", namespace: "istio-system", host: 71 },
];

export const GATEWAY: Workload = {
  name: "gateway",
  service: "my-gateway-controller",
  version: "v1",
  namespace: NAMESPACE,
  host: 2,
};
export const GATEWAY_PORT = 8080;
export const GATEWAY_TLS_HOST = "ext-host.example.com";
export const GATEWAY_SECRET = "ext-host-cert";

/** The world outside of the mesh, which only DNS knows. */
export const OUTSIDE = { name: "outside", hostname: "ext-svc.example.com", host: 80, port: 8443 } as const;
export const DNS_HOST = 90;

/** Where a proxy without privileges serves a port: 10000 higher below 1024. */
export function servedPort(port: number): number {
  return port < 1024 ? port + 10_000 : port;
}

function bookinfo(service: string, version: string, host: number): Workload {
  return { name: `${service}-${version}`, service, version, namespace: NAMESPACE, host };
}

/** A workload by its name; throws if there is none. */
export function workload(name: string): Workload {
  const found = [...SIDECARS, ...PLAIN, GATEWAY].find((candidate) => candidate.name === name);
  if (!found) throw new Error(`the demo has no workload ${name}`);
  return found;
}
