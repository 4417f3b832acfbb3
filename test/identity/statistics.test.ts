// Whose word about a proxy's health counts, where proxies are known by what they show.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type Client, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { beforeAll, expect, test } from "vitest";
import { packagePath } from "../../controlplane/agent/package-root.js";
import { createAdsSecurity } from "../../controlplane/identity/ads-security.js";
import { type ControlPlane, startControlPlane } from "../../controlplane/main.js";
import { createDirectoryStorage } from "../../controlplane/rollout/directory-storage.js";
import { CLUSTER } from "../../controlplane/xds/order.js";
import { testScope } from "../harness/scope.js";
import { connect, ScriptedStream } from "../xds/support/script.js";
import { createIssuer, type Issuer } from "./support/issuer.js";

const scope = testScope();
const NODE = "sidecar~10.0.0.1~app.default~default.svc.cluster.local";
let controlPlane: ControlPlane;
let issuer: Issuer;

beforeAll(async () => {
  const directory = await scope.directory();
  issuer = await createIssuer();
  const keys = join(directory, "jwks.json");
  await writeFile(keys, issuer.keys);
  for (const folder of ["policies", "filters"]) await mkdir(join(directory, folder));
  const security = await createAdsSecurity({ trustDomain: "cluster.local", tokens: { keys, audience: "headgate" } });
  if ("error" in security) throw new Error(security.error);
  controlPlane = scope.use(
    await startControlPlane({
      directories: [join(directory, "policies")],
      filters: createDirectoryStorage(join(directory, "filters")),
      defaultNamespace: "default",
      rootNamespace: "istio-system",
      ads: "127.0.0.1:0",
      admin: "127.0.0.1:0",
      trafficFilter: packagePath("build", "traffic.wasm"),
      tryFilter: packagePath("build", "try.wasm"),
      security: security.value,
    }),
  );
});

async function tokenOf(namespace: string): Promise<Metadata> {
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${await issuer.token(namespace, "default")}`);
  return metadata;
}

/** The first message of a stream of statistics: who they are about. */
function messageOf(nodeId: string): Buffer {
  const field = (number: number) => new BinaryWriter().tag(number, WireType.LengthDelimited);
  const node = field(1).string(nodeId).finish();
  const identifier = field(1).bytes(node).finish();
  return Buffer.from(field(1).bytes(identifier).finish());
}

/** How a stream of statistics about a node ends. */
function tell(client: Client, nodeId: string, metadata: Metadata): Promise<string> {
  const asIs = (bytes: Buffer) => bytes;
  const path = "/envoy.service.metrics.v3.MetricsService/StreamMetrics";
  return new Promise((resolve) => {
    const call = client.makeClientStreamRequest(path, asIs, asIs, metadata, (error: ServiceError | null) =>
      resolve(error ? (status[error.code] as string) : "OK"),
    );
    call.write(messageOf(nodeId));
    call.end();
  });
}

test("A proxy tells of itself alone, and only once it is connected", async () => {
  const client = scope.use(connect(controlPlane.ads));
  const [own, other] = (await Promise.all(["default", "thieves"].map(tokenOf))) as [Metadata, Metadata];
  expect(await tell(client, NODE, own)).toBe("UNAVAILABLE");
  const stream = new ScriptedStream(client, "delta", NODE, own);
  stream.subscribe(CLUSTER);
  await stream.accept();
  expect(await tell(client, NODE, other)).toBe("PERMISSION_DENIED");
  expect(await tell(client, NODE, new Metadata())).toBe("UNAUTHENTICATED");
  // Ended by the client, without the message that no Envoy waits for: to gRPC's client that is UNIMPLEMENTED.
  expect(await tell(client, NODE, own)).toBe("UNIMPLEMENTED");
  stream.cancel();
});
