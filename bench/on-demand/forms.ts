// The three ways in which a sidecar can come by its configuration, each with a real Envoy.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startMeasured } from "../ads/control-plane.js";
import { hostOf } from "../ads/services.js";
import { startAskedServer } from "./asked-server.js";
import { translateFor } from "./resources.js";
import { type Sidecar, sidecarBootstrap, startSidecar } from "./sidecar.js";

export const FORMS = ["pushed", "pushed, scoped by a Sidecar", "on demand"] as const;
export type Form = (typeof FORMS)[number];

/** A sidecar and what configures it. */
export interface Running {
  readonly sidecar: Sidecar;
  /** Ends what configures it, without a goodbye. */
  leave(): Promise<void>;
  /** Puts another in its place. */
  comeBack(): Promise<void>;
  close(): Promise<void>;
}

export interface Place {
  readonly directory: string;
  /** The loopback address that is the sidecar's own. */
  readonly address: string;
  /** The services that a Sidecar lets it see: those below this number. */
  readonly scope: number;
}

export async function start(form: Form, place: Place): Promise<Running> {
  const isScoped = form === "pushed, scoped by a Sidecar";
  await writeFile(join(place.directory, "sidecar.yaml"), isScoped ? scopeTo(place.scope) : "");
  return form === "on demand" ? startOnDemand(place) : startPushed(place);
}

function scopeTo(services: number): string {
  const hosts = Array.from({ length: services }, (_, number) => `"./${hostOf(number)}"`);
  return `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: default}
spec:
  egress:
  - hosts: [${hosts.join(", ")}]
`;
}

async function startPushed({ directory, address }: Place): Promise<Running> {
  let controlPlane = await startMeasured({ directory });
  const { ads } = controlPlane;
  const sidecar = await startSidecar(sidecarBootstrap(address, Number(ads.split(":")[1])));
  return {
    sidecar,
    leave: () => controlPlane.kill(),
    async comeBack() {
      controlPlane = await startMeasured({ directory, ads });
    },
    close: async () => void (await Promise.all([sidecar.stop(), controlPlane.close()])),
  };
}

async function startOnDemand({ directory, address }: Place): Promise<Running> {
  const resources = await translateFor(directory, sidecarBootstrap(address, 0).node);
  let server = await startAskedServer({ resources });
  const { port } = server;
  const sidecar = await startSidecar(sidecarBootstrap(address, port));
  return {
    sidecar,
    leave: () => server.close(),
    async comeBack() {
      server = await startAskedServer({ resources, port });
    },
    close: async () => void (await Promise.all([sidecar.stop(), server.close()])),
  };
}
