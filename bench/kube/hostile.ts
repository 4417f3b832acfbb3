// How long one object of the largest size that a cluster takes holds up the control plane's own thread.
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Kind } from "../../controlplane/resources/kinds.js";
import { createKubernetesSource } from "../../controlplane/sources/kubernetes.js";
import type { SourceState } from "../../controlplane/sources/source.js";
import { createAuthority } from "../../test/harness/certificates.js";
import { eventually } from "../../test/harness/waiting.js";
import type { Cluster } from "../../test/kube/support/cluster.js";
import { typeOf } from "../../test/kube/support/custom-resources.js";

const EXPRESSIONS = 10_000;
/** Bytes of certificates in one chain; a secret may have a megabyte. */
const CHAIN = 700_000;
const ROUNDS = 3;
const AT = { namespace: "default", name: "hostile" };

/** Milliseconds: for each kind the least of some rounds, since what else the machine does counts too; of these the most. */
export async function measureHostile(cluster: Cluster): Promise<number> {
  const held = [
    await measure(cluster, "VirtualService", expressions()),
    await measure(cluster, "Secret", await chain()),
  ];
  return Math.max(...held);
}

async function measure({ client }: Cluster, kind: Kind, object: object): Promise<number> {
  let latest: SourceState | undefined;
  const source = createKubernetesSource({ client, defaultNamespace: AT.namespace, kinds: [kind] });
  latest = await source.start((state) => {
    latest = state;
  });
  const key = `${kind}/${AT.namespace}/${AT.name}`;
  const seen = () => latest?.resources.has(key) || latest?.violations.some(({ name }) => name === AT.name);
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    await client.create(typeOf(kind), object, AT.namespace);
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    await eventually("the object is read", seen, 60_000);
    delay.disable();
    least = Math.min(least, delay.max / 1e6);
    await client.delete(typeOf(kind), AT);
    await eventually("the object is gone", () => !seen());
  }
  await source.close();
  return least;
}

function expressions(): object {
  const match = Array.from({ length: EXPRESSIONS }, (_, index) => ({
    uri: { regex: `/a${index}/(b|c)[a-z]{1,20}/${"x".repeat(40)}.*` },
  }));
  const spec = { hosts: ["a.example.com"], http: [{ match, route: [{ destination: { host: "a.example.com" } }] }] };
  return { apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata: AT, spec };
}

async function chain(): Promise<object> {
  const { certificate, privateKey } = await (await createAuthority("hostile")).issue(["a.example.com"]);
  const many = `${certificate}\n`.repeat(Math.floor(CHAIN / certificate.length));
  return { metadata: AT, type: "kubernetes.io/tls", stringData: { "tls.crt": many, "tls.key": privateKey } };
}
