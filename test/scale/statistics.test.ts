// What a sidecar keeps and sends of clusters that it never uses: in a large mesh that is nearly all of them.
import { expect, test } from "vitest";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { startTestMesh } from "../harness/mesh.js";
import { httpService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
/** Each is kept for every cluster, sent on every second, and costs memory. */
const MOST_USED_STATISTICS = 2;

test("A cluster has statistics once it is used, and next to none before", async () => {
  const v1 = await startBackend(scope, "v1");
  const mesh = await startTestMesh(scope);
  await mesh.apply("used.yaml", httpService("used", { v1 }));
  await mesh.apply("unused.yaml", httpService("unused", { v1 }));
  const sidecar = await mesh.startProxy({ name: "client" });
  const host = "used.default.svc.cluster.local";
  expect((await ask(`http://${sidecar.address}:9080/`, { headers: { host } })).status).toBe(200);
  expect(await sidecar.stat(`cluster.outbound|9080||${host}.upstream_rq_total`)).toBe(1);
  const { body } = await sidecar.get("/stats?usedonly&filter=cluster\\.outbound.*\\|unused\\.default");
  const lines = body.split("\n").filter((line) => line !== "");
  expect(lines.length, body).toBeLessThanOrEqual(MOST_USED_STATISTICS);
});
