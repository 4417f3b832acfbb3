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

/** Where an endpoint listens. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

/** Those of one service: two of version v1 and one of v2. */
export type Places = readonly [Place, Place, Place];

const INITIAL: ServiceState = { weight: 80 };

export function hostOf(number: number): string {
  return `svc-${number}.default.svc.cluster.local`;
}

/** The name of the service's virtual host, as a resource. */
export function virtualHostOf(number: number): string {
  return `${PORT}/${hostOf(number)}:${PORT}`;
}

/** Writes the files of services 0 to count - 1, 100 in a directory. Their endpoints are made up unless places are given. */
export async function writeServices(directory: string, count: number, places?: Places): Promise<void> {
  for (let first = 0; first < count; first += 100) {
    await mkdir(join(directory, folderOf(first)), { recursive: true });
    const numbers = Array.from({ length: Math.min(100, count - first) }, (_, index) => first + index);
    await Promise.all(
      numbers.map((number) => writeFile(join(directory, pathOf(number)), serviceYaml(number, INITIAL, places))),
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

function madeUp(number: number, endpoint: number): Places {
  const place = (last: number) => ({ address: `10.${100 + (number >> 8)}.${number & 255}.${last}`, port: 8080 });
  return [place(endpoint), place(251), place(252)];
}

/** One ServiceEntry with 3 static endpoints, one DestinationRule with 2 subsets, one VirtualService with 3 rules. */
function serviceYaml(
  number: number,
  { weight, endpoint = 1 }: ServiceState,
  places = madeUp(number, endpoint),
): string {
  const host = hostOf(number);
  const [first, second, third] = places.map(({ address, port }) => `address: ${address}, ports: {http: ${port}}`);
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: svc-${number}, namespace: default}
spec:
  hosts: [${host}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: ${PORT}, name: http, protocol: HTTP}]
  endpoints:
  - {${first}, labels: {version: v1}}
  - {${second}, labels: {version: v1}}
  - {${third}, labels: {version: v2}}
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
