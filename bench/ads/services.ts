// The measured mesh: a directory with a file for each service, and changes of single ones.
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { now } from "./clock.js";

export const PORT = 80;

/** What an edit may change of a service. */
export interface ServiceState {
  /** Of the default rule's traffic, the percentage that goes to v1. */
  readonly weight: number;
  /** The last part of the first endpoint's address. */
  readonly endpoint?: number;
}

const INITIAL: ServiceState = { weight: 80 };

export function hostOf(number: number): string {
  return `svc-${number}.default.svc.cluster.local`;
}

/** The name of the service's virtual host, as a resource. */
export function virtualHostOf(number: number): string {
  return `${PORT}/${hostOf(number)}:${PORT}`;
}

/** Writes the files of services 0 to count - 1, 100 in a directory. */
export async function writeServices(directory: string, count: number): Promise<void> {
  for (let first = 0; first < count; first += 100) {
    await mkdir(join(directory, folderOf(first)), { recursive: true });
    const numbers = Array.from({ length: Math.min(100, count - first) }, (_, index) => first + index);
    await Promise.all(
      numbers.map((number) => writeFile(join(directory, pathOf(number)), serviceYaml(number, INITIAL))),
    );
  }
}

/** Puts a service's file in its place in one step, and gives when that was, by clock.ts. */
export async function changeService(directory: string, number: number, state: ServiceState): Promise<number> {
  const path = join(directory, pathOf(number));
  const beside = join(directory, folderOf(number), `.svc-${number}.new`);
  await writeFile(beside, serviceYaml(number, state));
  const at = now();
  await rename(beside, path);
  return at;
}

function folderOf(number: number): string {
  return `services-${Math.floor(number / 100)}`;
}

function pathOf(number: number): string {
  return join(folderOf(number), `svc-${number}.yaml`);
}

/** One ServiceEntry with 3 static endpoints, one DestinationRule with 2 subsets, one VirtualService with 3 rules. */
function serviceYaml(number: number, { weight, endpoint = 1 }: ServiceState): string {
  const host = hostOf(number);
  const network = `10.${100 + (number >> 8)}.${number & 255}`;
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: svc-${number}, namespace: default}
spec:
  hosts: [${host}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: ${PORT}, name: http, protocol: HTTP, targetPort: 8080}]
  endpoints:
  - {address: ${network}.${endpoint}, labels: {version: v1}}
  - {address: ${network}.251, labels: {version: v1}}
  - {address: ${network}.252, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: svc-${number}, namespace: default}
spec:
  host: ${host}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: svc-${number}, namespace: default}
spec:
  hosts: [${host}]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: ${host}, subset: v2}}]
  - match: [{uri: {prefix: /v2}}]
    route: [{destination: {host: ${host}, subset: v2}}]
  - route:
    - {destination: {host: ${host}, subset: v1}, weight: ${weight}}
    - {destination: {host: ${host}, subset: v2}, weight: ${100 - weight}}
`;
}
