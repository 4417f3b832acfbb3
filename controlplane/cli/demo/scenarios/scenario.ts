// What a scenario is: policies to apply, and what is then seen of traffic through the Envoys.
import type { Mesh } from "../mesh.js";
import { GATEWAY, GATEWAY_PORT, SERVICE_PORT, servedPort } from "../topology.js";
import type { Question } from "../traffic.js";

/** One line of the table. */
export interface Observation {
  readonly expected: string;
  readonly observed: string;
  readonly requests: number;
  readonly held: boolean;
}

export interface Stage {
  readonly mesh: Mesh;
  /** Puts these files of examples/policies in place of all others; resolves when every proxy has acknowledged them. */
  apply(...files: readonly string[]): Promise<void>;
}

export interface Scenario {
  /** The number and what it is about, as in "01 by user". */
  readonly title: string;
  run(stage: Stage): Promise<readonly Observation[]>;
}

/** A request as a workload's application makes it: to the workload's own sidecar, naming the service. */
export function through(mesh: Mesh, workload: string, service: string, path: string): Question {
  return {
    to: { host: mesh.address(workload), port: SERVICE_PORT },
    host: service.includes(".") ? service : `${service}:${SERVICE_PORT}`,
    path,
  };
}

/** A request from outside to the gateway's plain port. */
export function atGateway(mesh: Mesh, path: string): Question {
  return { to: { host: mesh.address(GATEWAY.name), port: servedPort(GATEWAY_PORT) }, host: "bookinfo", path };
}

/** 0.2534 as "25.34 %" */
export function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
