// What a workload that registers itself becomes: its group's template, filled in with what is its own.
import type { Proxy } from "../proxy/proxy.js";
import type { WorkloadGroup } from "../resources/workload-group.js";

/** The name of a registered workload's entry, as Istio's: the group and the address. */
export function registeredName(group: string, address: string): string {
  return `${group}-${address.replaceAll(/[.:]+/g, "-").replace(/^-/, "0-").replace(/-$/, "-0")}`;
}

/** Whether a proxy may be of the group: undefined when it may, else what is wrong. */
export function registrationFault(group: WorkloadGroup | undefined, proxy: Proxy): string | undefined {
  if (!group) return `there is no WorkloadGroup "${proxy.workloadGroup}" in the namespace "${proxy.namespace}"`;
  const account = group.spec.template.serviceAccount;
  if (account === undefined || account === proxy.serviceAccount) return undefined;
  return `WorkloadGroup "${group.meta.name}" is for the service account "${account}", not "${proxy.serviceAccount}"`;
}

/** A WorkloadEntry as Kubernetes has it. */
export interface RegisteredEntry {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: object;
}

/** The proxy's WorkloadEntry; equal input gives one that is written alike. */
export function registeredEntry({ meta, spec }: WorkloadGroup, proxy: Proxy): RegisteredEntry {
  const { template, metadata } = spec;
  const labels = { ...metadata.labels, ...proxy.labels };
  const { region, zone, subZone } = proxy.locality;
  const locality = [region, zone, subZone].filter((part) => part !== "").join("/") || template.locality;
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "WorkloadEntry",
    metadata: {
      name: registeredName(meta.name, proxy.addresses[0] ?? ""),
      namespace: meta.namespace,
      labels,
      annotations: { ...metadata.annotations, "headgate.dev/registered-by": proxy.id },
    },
    spec: {
      address: proxy.addresses[0],
      labels,
      ...(template.ports.size > 0 ? { ports: Object.fromEntries(template.ports) } : {}),
      ...(locality === undefined ? {} : { locality }),
      ...(template.network === undefined ? {} : { network: template.network }),
      ...(template.weight === undefined ? {} : { weight: template.weight }),
      serviceAccount: proxy.serviceAccount,
    },
  };
}
