// What a cluster has been told of its policies, as tests ask for it.
import type { KubeObject, KubeType } from "../../../controlplane/kube/object.js";
import { type Condition, readStatus } from "../../../controlplane/kube-status/conditions.js";
import type { Kind } from "../../../controlplane/resources/kinds.js";
import { eventually } from "../../harness/waiting.js";
import type { Cluster } from "../../kube/support/cluster.js";
import { typeOf } from "../../kube/support/custom-resources.js";

const EVENTS: KubeType = { group: "events.k8s.io", version: "v1", plural: "events" };

export interface TestedStatus {
  readonly object: KubeObject;
  /** By type, "status reason: message". */
  readonly conditions: Readonly<Record<Condition["type"], string>>;
}

/** Of an object in the namespace default; undefined while its newest generation has none. */
export async function statusOf({ client }: Cluster, kind: Kind, name: string): Promise<TestedStatus | undefined> {
  const object = await client.get(typeOf(kind), { namespace: "default", name });
  const status = readStatus(object?.status);
  if (object === undefined || status === undefined) return undefined;
  const { generation } = object.metadata;
  if (status.observedGeneration !== generation) return undefined;
  const texts = status.conditions.map(({ type, status, reason, message }) => [type, `${status} ${reason}: ${message}`]);
  return { object, conditions: Object.fromEntries(texts) };
}

/** Waits until a condition of an object's newest generation begins with the text, and gives the status. */
export async function conditionBegins(
  cluster: Cluster,
  [kind, name]: readonly [Kind, string],
  type: Condition["type"],
  text: string,
  timeoutMs?: number,
): Promise<TestedStatus> {
  let last: unknown;
  return eventually(
    `${kind} ${name} has ${type} ${text}`,
    async () => {
      const status = await statusOf(cluster, kind, name);
      last = status?.conditions;
      return status?.conditions[type].startsWith(text) && status;
    },
    timeoutMs,
  ).catch((error: Error) => {
    throw new Error(`${error.message}; it was ${JSON.stringify(last)}`, { cause: error });
  });
}

/** The events on an object of the namespace default. */
export async function eventsOn({ client }: Cluster, kind: Kind, name: string): Promise<readonly KubeObject[]> {
  const { items } = await client.list(EVENTS, { namespace: "default" });
  return items.filter(({ regarding }) => {
    const of = regarding as { readonly kind: string; readonly name: string };
    return of.kind === kind && of.name === name;
  });
}
