// How long one object of the largest size that a cluster takes holds up the control plane's own thread.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createKubernetesSource } from "../../controlplane/sources/kubernetes.js";
import type { SourceState } from "../../controlplane/sources/source.js";
import { eventually } from "../../test/harness/waiting.js";
import type { Cluster } from "../../test/kube/support/cluster.js";
import { typeOf } from "../../test/kube/support/custom-resources.js";

const EXPRESSIONS = 10_000;
const ROUNDS = 3;

/** Milliseconds, the least of some rounds: what else the machine does counts too. */
export async function measureHostile({ client }: Cluster): Promise<number> {
  const at = { namespace: "default", name: "hostile" };
  const type = typeOf("VirtualService");
  let latest: SourceState | undefined;
  const source = createKubernetesSource({ client, defaultNamespace: "default", kinds: ["VirtualService"] });
  latest = await source.start((state) => {
    latest = state;
  });
  const key = "VirtualService/default/hostile";
  const seen = () => latest?.resources.has(key) || latest?.violations.some(({ name }) => name === at.name);
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const match = Array.from({ length: EXPRESSIONS }, (_, index) => ({
      uri: { regex: `/a${index}/(b|c)[a-z]{1,20}/${"x".repeat(40)}.*` },
    }));
    const spec = { hosts: ["a.example.com"], http: [{ match, route: [{ destination: { host: "a.example.com" } }] }] };
    const object = { apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata: at, spec };
    await client.create(type, object, at.namespace);
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    await eventually("the object is read", seen, 60_000);
    delay.disable();
    least = Math.min(least, delay.max / 1e6);
    await client.delete(type, at);
    await eventually("the object is gone", () => !seen());
  }
  await source.close();
  return least;
}
