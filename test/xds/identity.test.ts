// Who is let in: the hook before any work, and transport security.
// @peculiar/x509 needs it in place first.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";
import { expect, onTestFinished, test } from "vitest";
import { SnapshotCache } from "../../controlplane/xds/cache.js";
import type { NodeIdentity, Peer } from "../../controlplane/xds/connect.js";
import { CLUSTER } from "../../controlplane/xds/order.js";
import { createAdsServer } from "../../controlplane/xds/server.js";
import { snapshot } from "./support/resources.js";
import { ScriptedStream } from "./support/script.js";
import { stage } from "./support/stage.js";

test("the hook is asked before any work is done, with all that the node says of itself", async () => {
  const asked: { node: NodeIdentity; peer: Peer; token: unknown }[] = [];
  const { cache, open } = await stage({
    onConnect: async (node, peer, metadata) => {
      asked.push({ node, peer, token: metadata.get("authorization")[0] });
      return { key: `key of ${node.id}` };
    },
  });
  cache.set("key of sidecar~10.0.0.1~app.default~local", snapshot({ [CLUSTER]: { a: "1" } }));
  const metadata = new Metadata();
  metadata.set("authorization", "Bearer token");
  const stream = open("delta", "ignored", { metadata });
  stream.send({
    typeUrl: CLUSTER,
    node: {
      id: "sidecar~10.0.0.1~app.default~local",
      cluster: "app",
      metadata: { NAMESPACE: "default", LABELS: { app: "app" } },
      locality: { region: "r", zone: "z", subZone: "s" },
      userAgentName: "envoy",
      userAgentVersionType: {
        case: "userAgentBuildVersion",
        value: { version: { majorNumber: 1, minorNumber: 40, patch: 0 } },
      },
    },
  });
  expect((await stream.accept()).resources).toEqual(["a@1"]);
  expect(asked).toEqual([
    {
      node: {
        id: "sidecar~10.0.0.1~app.default~local",
        cluster: "app",
        metadata: { NAMESPACE: "default", LABELS: { app: "app" } },
        locality: { region: "r", zone: "z", subZone: "s" },
        userAgentName: "envoy",
        userAgentVersion: "1.40.0",
        clientFeatures: [],
      },
      peer: { address: expect.stringMatching(/^127\.0\.0\.1:\d+$/), protocol: "delta" },
      token: "Bearer token",
    },
  ]);
});

test("an identity that does not match gets PERMISSION_DENIED and nothing else", async () => {
  const { cache, open, server, events } = await stage({
    onConnect: () => ({ error: { code: status.PERMISSION_DENIED, message: "namespace other is not yours" } }),
  });
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
  const stream = open("sotw");
  stream.subscribe(CLUSTER);
  expect(await stream.ended).toEqual({ code: status.PERMISSION_DENIED, details: "namespace other is not yours" });
  expect(stream.arrived).toEqual([]);
  expect(server.status()).toEqual([]);
  expect(events).toEqual([]);
});

test("a hook that throws ends that stream with INTERNAL, without its reason, and is told of", async () => {
  const { open, events } = await stage({ onConnect: () => Promise.reject(new Error("secret reason")) });
  const stream = open("delta");
  stream.subscribe(CLUSTER);
  const end = await stream.ended;
  expect(end.code).toBe(status.INTERNAL);
  expect(end.details).not.toContain("secret");
  expect(events).toContainEqual({ type: "fault", key: "", error: new Error("secret reason") });
});

test("requests that come while the hook decides are served in their order", async () => {
  let admit: (admission: { key: string }) => void = () => {};
  const { cache, open, fence } = await stage({ onConnect: () => new Promise((resolve) => (admit = resolve)) });
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "1" } }));
  const stream = open("delta");
  stream.subscribe(CLUSTER, "a");
  stream.subscribe(CLUSTER, "b");
  await fence();
  expect(stream.arrived).toEqual([]);
  admit({ key: "proxy" });
  const first = await stream.accept();
  const names = [...first.resources];
  if (names.length < 2) names.push(...(await stream.accept()).resources);
  expect(names).toEqual(["a@1", "b@1"]);
});

test("onDisconnect comes when the last stream of a proxy has ended", async () => {
  const gone: string[] = [];
  const { cache, open, fence, events } = await stage({ onDisconnect: (key) => gone.push(key) });
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
  const streams = [open("delta"), open("sotw")];
  for (const stream of streams) {
    stream.subscribe(CLUSTER);
    await stream.accept();
  }
  const disconnects = () => events.filter((event) => event.type === "disconnect" && event.key === "proxy").length;
  streams[0]?.cancel();
  await expect.poll(disconnects).toBe(1);
  await fence();
  expect(gone.filter((key) => key === "proxy")).toEqual([]);
  streams[1]?.cancel();
  await expect.poll(disconnects).toBe(2);
  await fence();
  expect(gone.filter((key) => key === "proxy")).toEqual(["proxy"]);
});

test("a proxy that comes back at the moment it goes is not told to have gone", async () => {
  const gone: string[] = [];
  const { cache, open, fence } = await stage({
    onConnect: async ({ id }) => ({ key: id }),
    onDisconnect: (key) => gone.push(key),
  });
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
  let stream = open("delta");
  stream.subscribe(CLUSTER);
  await stream.accept();
  for (let round = 0; round < 20; round++) {
    const next = open("delta");
    next.subscribe(CLUSTER);
    stream.cancel();
    await next.accept();
    stream = next;
  }
  await fence();
  expect(gone.filter((key) => key === "proxy")).toEqual([]);
});

test("a proxy that goes while it is being let in is told to have gone", async () => {
  const gone: string[] = [];
  let admit: () => void = () => {};
  const { open, fence } = await stage({
    onConnect: ({ id }) => new Promise((resolve) => (admit = () => resolve({ key: id }))),
    onDisconnect: (key) => gone.push(key),
  });
  const stream = open("delta");
  stream.subscribe(CLUSTER);
  await fence();
  stream.cancel();
  await stream.ended;
  await fence();
  expect(gone).not.toContain("proxy");
  admit();
  await expect.poll(() => gone).toContain("proxy");
});

test("plaintext is served on loopback only", async () => {
  const server = createAdsServer({ cache: new SnapshotCache(), onConnect: ({ id }) => ({ key: id }) });
  onTestFinished(() => server.close());
  for (const address of ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:0"]) {
    await expect(server.listen(address)).rejects.toThrow("without TLS only loopback addresses are served");
  }
  await expect(server.listen("nonsense")).rejects.toThrow("no address");
});

test("with TLS the hook sees the client's certificate, and clients without one are not served", async () => {
  const ca = await authority();
  const peers: Peer[] = [];
  const cache = new SnapshotCache();
  const { key, certificate } = await ca.issue("CN=server");
  const server = createAdsServer({
    cache,
    tls: { key, certificate, clientCa: ca.certificate },
    onConnect: (node, peer) => {
      peers.push(peer);
      return { key: node.id };
    },
  });
  const address = await server.listen("0.0.0.0:0");
  onTestFinished(() => server.close());
  const target = address.replace("0.0.0.0", "127.0.0.1");
  const named = { "grpc.ssl_target_name_override": "localhost", "grpc.default_authority": "localhost" };
  const own = await ca.issue("CN=proxy");

  const anonymous = new Client(target, credentials.createSsl(ca.certificate), named);
  const known = new Client(target, credentials.createSsl(ca.certificate, own.key, own.certificate), named);
  onTestFinished(() => {
    anonymous.close();
    known.close();
  });
  const refused = new ScriptedStream(anonymous, "delta", "proxy");
  refused.subscribe(CLUSTER);
  expect((await refused.ended).code).toBe(status.UNAVAILABLE);
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
  const stream = new ScriptedStream(known, "delta", "proxy");
  stream.subscribe(CLUSTER);
  expect((await stream.accept()).resources).toEqual(["a@1"]);
  expect(peers.map((peer) => peer.certificate?.subject.CN)).toEqual(["proxy"]);
});

/** A certificate authority that lives for one test. All is PEM. */
async function authority() {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const generate = () => webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const caKeys = await generate();
  const validity = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 3_600_000) };
  const root = await X509CertificateGenerator.createSelfSigned({
    name: "CN=test",
    keys: caKeys,
    signingAlgorithm: algorithm,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
    ...validity,
  });
  return {
    certificate: Buffer.from(root.toString("pem")),
    async issue(subject: string) {
      const keys = await generate();
      const leaf = await X509CertificateGenerator.create({
        subject,
        issuer: root.subject,
        publicKey: keys.publicKey,
        signingKey: caKeys.privateKey,
        signingAlgorithm: algorithm,
        extensions: [new SubjectAlternativeNameExtension([{ type: "dns", value: "localhost" }])],
        ...validity,
      });
      const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
      const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`;
      return { key: Buffer.from(key), certificate: Buffer.from(leaf.toString("pem")) };
    },
  };
}
