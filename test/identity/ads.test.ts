// Who is let in to ADS, over real TLS: by certificates, by tokens, by either, and while the files are replaced.
import { once } from "node:events";
import { connect } from "node:tls";
import { status } from "@grpc/grpc-js";
import { beforeAll, describe, expect, test } from "vitest";
import { CLUSTER } from "../../controlplane/xds/order.js";
import { type Authority, createAuthority, type KeyedCertificate } from "../harness/certificates.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { snapshot } from "../xds/support/resources.js";
import type { ScriptedStream } from "../xds/support/script.js";
import { createIssuer, type Issuer } from "./support/issuer.js";
import { NODE_ID, startSecured } from "./support/secured.js";

const scope = testScope();
let servers: Authority;
let clients: Authority;
let strangers: Authority;
let issuer: Issuer;
let reviews: KeyedCertificate;

const spiffe = (namespace: string, account: string) => `spiffe://cluster.local/ns/${namespace}/sa/${account}`;

beforeAll(async () => {
  [servers, clients, strangers] = (await Promise.all(
    ["servers", "clients", "strangers"].map((name) => createAuthority(name)),
  )) as [Authority, Authority, Authority];
  issuer = await createIssuer();
  reviews = await clients.issue([spiffe("bookinfo", "reviews")]);
});

async function isServed(stream: ScriptedStream): Promise<void> {
  const first = await Promise.race([stream.receive(), stream.ended]);
  expect(first).toMatchObject({ resources: ["a@1"] });
  if ("nonce" in first) stream.ack(first);
}

async function isRefused(stream: ScriptedStream, code: status, details: string): Promise<void> {
  const first = await Promise.race([stream.receive(), stream.ended]);
  expect(first).toEqual({ code, details: expect.stringContaining(details) });
}

/** Connects as a proxy does, and gives what it takes to resume the session. */
async function shakeHands(address: string, session?: Buffer) {
  const [host = "", port = ""] = address.split(":");
  const socket = connect({
    host,
    port: Number(port),
    servername: "localhost",
    ca: servers.certificate,
    cert: reviews.certificate,
    key: reviews.privateKey,
    ALPNProtocols: ["h2"],
    ...(session ? { session } : {}),
  });
  socket.on("error", () => {});
  const ticket = new Promise<Buffer>((resolve) => socket.once("session", resolve));
  await once(socket, "secureConnect");
  const isReused = socket.isSessionReused();
  const given = isReused || session ? (session as Buffer) : await ticket;
  socket.destroy();
  return { session: given, isReused };
}

describe("by certificates", () => {
  test("A client is served as the namespace and service account of its certificate", async () => {
    const { open, admitted } = await startSecured(scope, { server: servers, clients });
    await isServed(open({ trusts: servers, certificate: reviews }));
    expect(admitted).toEqual([NODE_ID]);
  });

  test("Claiming another namespace or service account is refused before anything is done", async () => {
    const { open, admitted, refused, cache } = await startSecured(scope, { server: servers, clients });
    const other = NODE_ID.replaceAll("bookinfo", "payments");
    const certificate = reviews;
    await isRefused(
      open({ trusts: servers, certificate, id: other }),
      status.PERMISSION_DENIED,
      "the node says service account reviews of namespace payments, but its certificate is that of service account reviews of namespace bookinfo",
    );
    await isRefused(
      open({ trusts: servers, certificate, serviceAccount: "ratings" }),
      status.PERMISSION_DENIED,
      "service account ratings",
    );
    expect(refused.map(({ code }) => code)).toEqual(["PERMISSION_DENIED", "PERMISSION_DENIED"]);
    expect(admitted).toEqual([]);
    expect([...cache.keys()]).toEqual([]);
  });

  test("The node id of another namespace's proxy cannot be taken by naming one's own namespace beside it", async () => {
    const { open, admitted } = await startSecured(scope, { server: servers, clients });
    await isServed(open({ trusts: servers, certificate: reviews }));
    const certificate = await clients.issue([spiffe("thieves", "reviews")]);
    await isRefused(open({ trusts: servers, certificate }), status.PERMISSION_DENIED, "namespace bookinfo");
    const thief = open({ trusts: servers, certificate, metadata: { NAMESPACE: "thieves" } });
    await isRefused(thief, status.INVALID_ARGUMENT, "metadata NAMESPACE is not the namespace in the node id");
    expect(admitted).toEqual([NODE_ID]);
  });

  test("Certificates of another authority, expired ones and none do not get through TLS", async () => {
    const { open, admitted } = await startSecured(scope, { server: servers, clients });
    const names = [spiffe("bookinfo", "reviews")] as const;
    const forged = await strangers.issue([...names]);
    const expired = await clients.issue([...names], { days: -1 });
    for (const certificate of [forged, expired, undefined]) {
      const stream = open({ trusts: servers, ...(certificate ? { certificate } : {}) });
      await isRefused(stream, status.UNAVAILABLE, "");
    }
    expect(admitted).toEqual([]);
  });

  test("A certificate of the authority without a SPIFFE ID of the trust domain is refused", async () => {
    const { open } = await startSecured(scope, { server: servers, clients });
    for (const name of ["reviews.example.org", "spiffe://example.org/ns/bookinfo/sa/reviews"]) {
      const stream = open({ trusts: servers, certificate: await clients.issue([name]) });
      await isRefused(stream, status.UNAUTHENTICATED, "the client certificate");
    }
  });
});

describe("by tokens", () => {
  test("A client is served as the service account of its token, and as no other", async () => {
    const { open } = await startSecured(scope, { server: servers, keys: issuer.keys });
    const own = [`Bearer ${await issuer.token("bookinfo", "reviews")}`];
    await isServed(open({ trusts: servers, authorization: own }));
    const other = NODE_ID.replaceAll("bookinfo", "payments");
    await isRefused(
      open({ trusts: servers, authorization: own, id: other }),
      status.PERMISSION_DENIED,
      "its token is that of service account reviews of namespace bookinfo",
    );
    await isRefused(open({ trusts: servers }), status.UNAUTHENTICATED, "show a bearer token");
  });

  test("A token of another issuer and other kinds of authorization are refused", async () => {
    const { open, refused } = await startSecured(scope, { server: servers, keys: issuer.keys });
    const [own, forged] = await Promise.all(
      [issuer, await createIssuer()].map((from) => from.token("bookinfo", "reviews")),
    );
    for (const authorization of [[`Bearer ${forged}`], [`Basic ${own}`], [`Bearer ${own} ${own}`], ["x"]]) {
      await isRefused(open({ trusts: servers, authorization }), status.UNAUTHENTICATED, "t");
    }
    expect(JSON.stringify(refused)).not.toContain(String(own).slice(0, 20));
  });

  test("Tokens work over plaintext on loopback as well", async () => {
    const { open } = await startSecured(scope, { keys: issuer.keys });
    await isServed(open({ authorization: [`bearer ${await issuer.token("bookinfo", "reviews")}`] }));
    await isRefused(open(), status.UNAUTHENTICATED, "show a bearer token");
  });
});

describe("by either", () => {
  test("One proof suffices, and of two each must hold", async () => {
    const { open } = await startSecured(scope, { server: servers, clients, keys: issuer.keys });
    const [own, other] = await Promise.all(["reviews", "ratings"].map((name) => issuer.token("bookinfo", name)));
    await isServed(open({ trusts: servers, certificate: reviews }));
    await isServed(open({ trusts: servers, authorization: [`Bearer ${own}`] }));
    await isServed(open({ trusts: servers, certificate: reviews, authorization: [`Bearer ${own}`] }));
    const mixed = open({ trusts: servers, certificate: reviews, authorization: [`Bearer ${other}`] });
    await isRefused(mixed, status.PERMISSION_DENIED, "its token");
    await isRefused(open({ trusts: servers }), status.UNAUTHENTICATED, "show a client certificate");
  });

  test("A certificate of another authority counts as none", async () => {
    const { open } = await startSecured(scope, { server: servers, clients, keys: issuer.keys });
    const forged = await strangers.issue([spiffe("bookinfo", "reviews")]);
    await isRefused(
      open({ trusts: servers, certificate: forged }),
      status.UNAUTHENTICATED,
      "show a client certificate",
    );
  });
});

describe("while files are replaced", () => {
  test("New connections get the new certificate, and open streams go on", async () => {
    const { open, replace, notices, cache } = await startSecured(scope, { server: servers, clients });
    const before = open({ trusts: servers, certificate: reviews });
    await isServed(before);
    const renewed = await strangers.issue(["localhost"]);
    await replace({ certificate: renewed.certificate, key: renewed.privateKey });
    await eventually("it is read", () => notices.some((notice) => notice.includes("it expires at")));
    await isServed(open({ trusts: strangers, certificate: reviews }));
    await isRefused(open({ trusts: servers, certificate: reviews }), status.UNAVAILABLE, "");
    cache.set(NODE_ID, snapshot({ [CLUSTER]: { a: "2" } }));
    expect((await before.receive()).resources).toEqual(["a@2"]);
  });

  test("A certificate without its key changes nothing until the key is there too", async () => {
    const { open, replace, notices } = await startSecured(scope, { server: servers, clients });
    const renewed = await strangers.issue(["localhost"]);
    await replace({ certificate: renewed.certificate });
    await eventually("it is told", () => notices.some((notice) => notice.includes("is not the key of")));
    await isServed(open({ trusts: servers, certificate: reviews }));
    await replace({ key: renewed.privateKey });
    await eventually("it is read", () => notices.some((notice) => notice.includes("it expires at")));
    await isServed(open({ trusts: strangers, certificate: reviews }));
  });

  test("Clients of a withdrawn authority are turned away, and those of the new one are let in", async () => {
    const { open, replace, notices } = await startSecured(scope, { server: servers, clients });
    await isServed(open({ trusts: servers, certificate: reviews }));
    await replace({ clientCa: strangers.certificate });
    await eventually("it is read", () => notices.length > 0);
    await isRefused(open({ trusts: servers, certificate: reviews }), status.UNAVAILABLE, "");
    const renewed = await strangers.issue([spiffe("bookinfo", "reviews")]);
    await isServed(open({ trusts: servers, certificate: renewed }));
  });

  test("A server that makes its certificates itself knows clients by an authority in a file, over renewals of either", async () => {
    const { open, replace, notices } = await startSecured(scope, { server: servers, issues: true, clients });
    const isRenewed = async () => {
      notices.length = 0;
      await eventually("it has another", () => notices.some((notice) => notice.startsWith("made a new certificate")));
    };
    await isRenewed();
    await isServed(open({ trusts: servers, certificate: reviews }));
    await isRefused(open({ trusts: servers }), status.UNAVAILABLE, "");
    await replace({ clientCa: "none" });
    await eventually("it is told", () => notices.some((notice) => notice.includes("has no certificates in PEM form")));
    await isServed(open({ trusts: servers, certificate: reviews }));
    await replace({ clientCa: strangers.certificate });
    await eventually("it is read", () => notices.some((notice) => notice.endsWith("clientCa again")));
    await isRenewed();
    await isRefused(open({ trusts: servers, certificate: reviews }), status.UNAVAILABLE, "");
    await isServed(open({ trusts: servers, certificate: await strangers.issue([spiffe("bookinfo", "reviews")]) }));
  });

  test("A server that makes its certificates itself may know clients by certificates or tokens, whichever they show", async () => {
    const { open } = await startSecured(scope, { server: servers, issues: true, clients, keys: issuer.keys });
    await isServed(open({ trusts: servers, certificate: reviews }));
    await isServed(open({ trusts: servers, authorization: [`Bearer ${await issuer.token("bookinfo", "reviews")}`] }));
    await isRefused(open({ trusts: servers }), status.UNAUTHENTICATED, "");
  });

  test("A TLS session from before a replacement cannot be resumed, so its certificate is looked at again", async () => {
    const { address, replace, notices } = await startSecured(scope, { server: servers, clients });
    const first = await shakeHands(address);
    expect(await shakeHands(address, first.session)).toMatchObject({ isReused: true });
    await replace({ clientCa: strangers.certificate });
    await eventually("it is read", () => notices.length > 0);
    expect(await shakeHands(address, first.session)).toMatchObject({ isReused: false });
  });

  test("Tokens of a withdrawn key are refused, and nothing changes for a key set that is broken", async () => {
    const { open, replace, notices } = await startSecured(scope, { keys: issuer.keys });
    const authorization = [`Bearer ${await issuer.token("bookinfo", "reviews")}`];
    await replace({ keys: "{" });
    await eventually("it is told", () => notices.some((notice) => notice.includes("no JSON Web Key Set")));
    await isServed(open({ authorization }));
    await replace({ keys: (await createIssuer("next")).keys });
    await eventually("it is read", () => notices.some((notice) => notice.endsWith("again")));
    await isRefused(open({ authorization }), status.UNAUTHENTICATED, "none of the known keys");
  });
});
