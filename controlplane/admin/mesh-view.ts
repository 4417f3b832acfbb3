// What the admin tells of the mesh. Secrets appear by name alone.
import type { Mesh } from "../mesh/mesh.js";

/** Plain JSON: services with their ports and number of endpoints, and the names of the policies. */
export function meshView(mesh: Mesh): object {
  const names = (objects: Iterable<{ meta: { namespace: string; name: string } }>) =>
    [...objects].map(({ meta }) => `${meta.namespace}/${meta.name}`);
  return {
    services: mesh.services.all.map((service) => ({
      hostname: service.hostname,
      namespace: service.namespace,
      resolution: service.resolution,
      external: service.external,
      ports: service.ports.map((port) => ({
        ...port,
        endpoints: (service.endpoints.get(port.number) ?? []).map(
          ({ address, port: number }) => `${address}:${number}`,
        ),
      })),
    })),
    virtualServices: mesh.virtualServices.map(({ meta, spec }) => ({
      name: `${meta.namespace}/${meta.name}`,
      hosts: spec.hosts,
      gateways: spec.gateways,
      rules: spec.http.length + spec.tls.length + spec.tcp.length,
    })),
    destinationRules: mesh.destinationRules.all.map(({ meta, spec }) => ({
      name: `${meta.namespace}/${meta.name}`,
      host: spec.host,
      subsets: spec.subsets.map((subset) => subset.name),
    })),
    gateways: names(mesh.gateways.values()),
    sidecars: names([...mesh.sidecars.values()].flat()),
    secrets: names(mesh.secrets.values()),
  };
}
