// Credentials that are not where the proxies that need them can get them: each proxy has its own namespace's alone.
import type { ClientTlsSettings, DestinationRule, PolicySettings } from "../../resources/destination-rule.js";
import type { Gateway } from "../../resources/gateway.js";
import type { FieldPath } from "../../resources/resource.js";
import type { Violation } from "../../resources/violation.js";
import { violationAt } from "../../resources/violation-at.js";
import type { Mesh } from "../mesh.js";
import { selects } from "../workloads.js";

/** Of a gateway's servers. */
export function gatewaySecretFaults(mesh: Mesh, gateway: Gateway): Violation[] {
  return gateway.spec.servers.flatMap((server, index) => {
    const name = server.tls?.credentialName;
    if (!name || mesh.secrets.has(`${gateway.meta.namespace}/${name}`)) return [];
    const namespaces = [...mesh.workloads.pods.values()]
      .filter((pod) => selects(gateway.spec.selector, pod.meta.labels))
      .map((pod) => pod.meta.namespace);
    if (namespaces.some((namespace) => mesh.secrets.has(`${namespace}/${name}`))) return [];
    const message = `Secret ${name} is not in the namespace of the gateway's proxies: create it there; until then this server does not accept connections.`;
    const path = ["spec", "servers", index, "tls", "credentialName"];
    return [violationAt(gateway, "unknown-secret", "warning", path, message)];
  });
}

/** Of a DestinationRule, whose clients are of its own namespace where it selects them, and may be of any where not. */
export function destinationRuleSecretFaults(mesh: Mesh, rule: DestinationRule): Violation[] {
  const { namespace } = rule.meta;
  const own = rule.spec.workloadSelector !== undefined;
  const isThere = (name: string) =>
    own ? mesh.secrets.has(`${namespace}/${name}`) : [...mesh.secrets.values()].some(({ meta }) => meta.name === name);
  return credentialsOf(rule).flatMap(([path, name]) => {
    if (isThere(name) || isThere(`${name}-cacert`)) return [];
    const where = own ? `the namespace ${namespace}` : "any namespace";
    const message = `Secret ${name} is not in ${where}: create it in the namespace of each client; until then requests to ${rule.spec.host} get 503.`;
    return [violationAt(rule, "unknown-secret", "warning", path, message)];
  });
}

function credentialsOf({ spec }: DestinationRule): readonly (readonly [path: FieldPath, name: string])[] {
  const found: (readonly [FieldPath, string])[] = [];
  const add = (path: FieldPath, tls: ClientTlsSettings | undefined) => {
    if (tls?.credentialName) found.push([[...path, "tls", "credentialName"], tls.credentialName]);
  };
  const policies = [
    { path: ["spec", "trafficPolicy"], policy: spec.trafficPolicy },
    ...spec.subsets.map((subset, index) => ({
      path: ["spec", "subsets", index, "trafficPolicy"],
      policy: subset.trafficPolicy,
    })),
  ];
  for (const { path, policy } of policies) {
    add(path, policy?.tls);
    const levels: readonly PolicySettings[] = [...(policy?.portLevelSettings.values() ?? [])];
    for (const [index, settings] of levels.entries()) add([...path, "portLevelSettings", index], settings.tls);
  }
  return found;
}
