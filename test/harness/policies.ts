// YAML that many behaviour tests start from.
import type { Backend } from "./backend.js";

/** A service "<name>.default.svc.cluster.local" on HTTP port 9080: an endpoint and a subset for each version. */
export function httpService(name: string, versions: Readonly<Record<string, Pick<Backend, "port">>>): string {
  return `${serviceEntry(name, versions)}---\n${subsets(name, Object.keys(versions))}`;
}

/** The ServiceEntry of httpService alone. */
export function serviceEntry(name: string, versions: Readonly<Record<string, Pick<Backend, "port">>>): string {
  const endpoints = Object.entries(versions).map(
    ([version, { port }]) => `  - {address: 127.0.0.1, ports: {http: ${port}}, labels: {version: ${version}}}\n`,
  );
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec:
  hosts: [${name}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints:
${endpoints.join("")}`;
}

/** A DestinationRule with a subset for each version; `policy` is YAML flow for its trafficPolicy. */
export function subsets(name: string, versions: readonly string[], policy = "{}"): string {
  const entries = versions.map((version) => `  - {name: ${version}, labels: {version: ${version}}}\n`);
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${name}}
spec:
  host: ${name}
  trafficPolicy: ${policy}
  subsets:
${entries.join("")}`;
}

/** A VirtualService for the service of that name; `http` is its http section as YAML, indented by two spaces. */
export function virtualService(name: string, http: string, annotations = "{}"): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, annotations: ${annotations}}
spec:
  hosts: [${name}]
  http:
${http}`;
}
