// WorkloadGroups: workloads that register themselves get traffic, through real Envoys.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

describe("a WorkloadGroup", () => {
  it("gives the workloads that register in it an address, its labels and its template", async () => {
    covers("WorkloadGroup", "metadata", "metadata.labels", "metadata.annotations", "template");
    const mesh = await startTestMesh(scope, { registrations: join(await scope.directory(), "registrations") });
    const backends = [await startBackend(scope, "one"), await startBackend(scope, "two")];
    const [one, two] = backends.map(({ port }) => port);
    await mesh.apply("group.yaml", policies(one ?? 0));
    const client = await mesh.startProxy({ name: "client" });
    const answer = async () => {
      const { status, body } = await ask(`http://${client.address}:9080/`, { headers: { host: "cart" } });
      return status === 200 ? JSON.parse(body).backend : status;
    };
    expect(await answer()).toBe(503);
    const vm = { name: "vm", address: "127.0.0.1", metadata: { AUTO_REGISTER_GROUP: "vms" } };
    await mesh.startProxy(vm);
    await eventually("the workload gets requests", async () => (await answer()) === "one");
    await mesh.apply("group.yaml", policies(two ?? 0));
    await eventually("it gets them on the group's new port", async () => (await answer()) === "two");
    await mesh.apply("group.yaml", policies(two ?? 0, "another"));
    await eventually("it is not selected by its new label", async () => (await answer()) === 503);
  });
});

function policies(port: number, app = "cart"): string {
  return `apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: vms}
spec:
  metadata: {labels: {app: ${app}}, annotations: {note: "for the cart"}}
  template: {ports: {http: ${port}}, locality: region/zone}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: cart}
spec:
  hosts: [cart]
  resolution: STATIC
  location: MESH_INTERNAL
  workloadSelector: {labels: {app: cart}}
  ports: [{number: 9080, name: http, protocol: HTTP}]
`;
}
