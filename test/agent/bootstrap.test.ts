// The bootstrap that a proxy gets, checked by the Envoy that has to accept it.
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { createBootstrap, type ProxyIdentity } from "../../controlplane/agent/bootstrap.js";
import { startTestEnvoy, testEnvoyBinary } from "../harness/envoy.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
const identity: ProxyIdentity = {
  role: "sidecar",
  name: "reviews-v1-0",
  namespace: "bookinfo",
  addresses: ["127.0.16.3", "::1"],
  labels: { app: "reviews", version: "v1" },
  interceptionMode: "NONE",
  serviceAccount: "reviewer",
  workloadName: "reviews-v1",
  unprivileged: true,
  locality: { region: "eu", zone: "eu-1" },
};

test("The node says who the proxy is in Istio's terms", () => {
  const { node } = createBootstrap(identity, { ads: { host: "127.0.0.1", port: 1 } }) as { node: unknown };
  expect(node).toEqual({
    id: "sidecar~127.0.16.3~reviews-v1-0.bookinfo~bookinfo.svc.cluster.local",
    cluster: "reviews.bookinfo",
    locality: { region: "eu", zone: "eu-1", sub_zone: undefined },
    metadata: {
      NAME: "reviews-v1-0",
      NAMESPACE: "bookinfo",
      LABELS: { app: "reviews", version: "v1" },
      INTERCEPTION_MODE: "NONE",
      INSTANCE_IPS: "127.0.16.3,::1",
      SERVICE_ACCOUNT: "reviewer",
      WORKLOAD_NAME: "reviews-v1",
      UNPRIVILEGED_POD: "true",
    },
  });
});

test("A gateway that may bind low ports says neither sidecar nor UNPRIVILEGED_POD", () => {
  const { node } = createBootstrap(
    { ...identity, role: "router", unprivileged: false },
    { ads: { host: "127.0.0.1", port: 1 } },
  ) as { node: { id: string; metadata: object } };
  expect(node.id).toMatch(/^router~127\.0\.16\.3~/);
  expect(node.metadata).not.toHaveProperty("UNPRIVILEGED_POD");
});

test("Envoy accepts the bootstrap, with a named control plane and a resolver of its own, without a warning", async () => {
  const bootstrap = createBootstrap(identity, {
    ads: { host: "localhost", port: 15_010 },
    admin: { host: "127.0.0.1", port: 0 },
    dnsResolver: { host: "127.0.0.1", port: 5353 },
  });
  const file = join(await scope.directory(), "bootstrap.json");
  await writeFile(file, JSON.stringify(bootstrap));
  const { stderr } = await promisify(execFile)(await testEnvoyBinary(), [
    "--mode",
    "validate",
    "-l",
    "warning",
    "-c",
    file,
  ]);
  expect(stderr).toBe("");
});

test("Envoy asks the control plane by delta ADS, as the proxy it is, and is not ready before it was answered", async () => {
  const requests: Buffer[] = [];
  const server = new Server();
  server.register(
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    (call: { on(event: "data", listener: (request: Buffer) => void): void }) =>
      call.on("data", (request) => requests.push(request)),
    (response: Buffer) => response,
    (request: Buffer) => request,
    "bidi",
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  scope.use({ close: () => server.forceShutdown() });

  const envoy = await startTestEnvoy(scope, createBootstrap(identity, { ads: { host: "127.0.0.1", port } }), {
    until: "live",
  });

  await eventually("Envoy asks for clusters", () => requests[0]);
  expect(requests[0]?.includes("sidecar~127.0.16.3~reviews-v1-0.bookinfo~bookinfo.svc.cluster.local")).toBe(true);
  expect(requests[0]?.includes("type.googleapis.com/envoy.config.cluster.v3.Cluster")).toBe(true);
  expect((await envoy.get("/ready")).status).toBe(503);
});
