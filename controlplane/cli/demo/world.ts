// What a cluster would say of the demo's workloads, as YAML: Services, EndpointSlices, Pods, the way in, the certificate.
import { stringify } from "yaml";
import type { KeyedCertificate } from "../../certificates/authority.js";
import { GATEWAY, GATEWAY_PORT, GATEWAY_SECRET, NAMESPACE, SERVICE_PORT, type Workload } from "./topology.js";

/** A workload with where it is reached. */
export interface Placed {
  readonly workload: Workload;
  readonly address: string;
  readonly port: number;
}

/** File name -> YAML. */
export function describeWorld(placed: readonly Placed[], certificate: KeyedCertificate): Record<string, string> {
  const services = [...new Map(placed.map(({ workload }) => [serviceKey(workload), workload])).values()];
  return {
    "services.yaml": documents(services.map(service)),
    "workloads.yaml": documents(placed.flatMap((one) => [pod(one), endpointSlice(one)])),
    "certificate.yaml": documents([secret(certificate)]),
    "productpage.yaml": documents([gateway(), productpageRoute()]),
  };
}

/** The gateway is a workload too, but behind no Service. */
export function describeGateway(address: string): string {
  const labels = { app: GATEWAY.service, istio: "ingressgateway", version: GATEWAY.version };
  return documents([{ ...pod({ workload: GATEWAY, address, port: GATEWAY_PORT }, labels) }]);
}

function documents(objects: readonly object[]): string {
  return objects.map((object) => stringify(object)).join("---\n");
}

function serviceKey({ namespace, service }: Workload): string {
  return `${namespace}/${service}`;
}

function labelsOf({ service, version }: Workload): Record<string, string> {
  return { app: service, version };
}

function service({ namespace, service: name }: Workload) {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: {
      selector: { app: name },
      ports: [{ name: "http", port: SERVICE_PORT, targetPort: "http", protocol: "TCP" }],
    },
  };
}

function pod({ workload, address, port }: Placed, labels: Record<string, string> = labelsOf(workload)) {
  const { name, namespace } = workload;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels },
    spec: {
      serviceAccountName: workload.service,
      containers: [{ name: workload.service, ports: [{ name: "http", containerPort: port }] }],
    },
    status: {
      phase: "Running",
      podIP: address,
      podIPs: [{ ip: address }],
      conditions: [{ type: "Ready", status: "True" }],
    },
  };
}

function endpointSlice({ workload, address, port }: Placed) {
  const { name, namespace } = workload;
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, namespace, labels: { "kubernetes.io/service-name": workload.service } },
    addressType: "IPv4",
    ports: [{ name: "http", port, protocol: "TCP" }],
    endpoints: [{ addresses: [address], conditions: { ready: true }, targetRef: { kind: "Pod", name, namespace } }],
  };
}

function secret({ certificate, privateKey }: KeyedCertificate) {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/tls",
    metadata: { name: GATEWAY_SECRET, namespace: NAMESPACE },
    data: { "tls.crt": base64(certificate), "tls.key": base64(privateKey) },
  };
}

function gateway() {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "Gateway",
    metadata: { name: "bookinfo", namespace: NAMESPACE },
    spec: {
      selector: { istio: "ingressgateway" },
      servers: [{ port: { number: GATEWAY_PORT, name: "http", protocol: "HTTP" }, hosts: ["*"] }],
    },
  };
}

function productpageRoute() {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "productpage", namespace: NAMESPACE },
    spec: {
      hosts: ["*"],
      gateways: ["bookinfo"],
      http: [{ route: [{ destination: { host: "productpage", port: { number: SERVICE_PORT } } }] }],
    },
  };
}
