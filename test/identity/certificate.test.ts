// What identity a verified client certificate carries.
import "reflect-metadata";
import { webcrypto, X509Certificate } from "node:crypto";
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";
import { expect, test } from "vitest";
import { identityOfCertificate } from "../../controlplane/identity/certificate.js";
import { createAuthority } from "../harness/certificates.js";

const authority = await createAuthority("identities");
const ID = "spiffe://cluster.local/ns/bookinfo/sa/reviews";

async function read(...names: [string, ...string[]]) {
  const { certificate } = await authority.issue(names);
  return identityOfCertificate(new X509Certificate(certificate).raw, "cluster.local");
}

/** A certificate with whatever somebody managed to have signed as a DNS name. */
async function readDnsNames(...values: string[]) {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=x",
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(false),
      new SubjectAlternativeNameExtension(values.map((value) => ({ type: "dns", value }))),
    ],
  });
  return identityOfCertificate(new Uint8Array(certificate.rawData), "cluster.local");
}

test("A SPIFFE ID among other names is the identity", async () => {
  const identity = { namespace: "bookinfo", serviceAccount: "reviews" };
  expect(await read(ID)).toEqual({ identity });
  expect(await read("reviews.example.org", ID, "10.0.0.1")).toEqual({ identity });
});

test("A certificate without a URI name, or with two, carries no identity", async () => {
  expect(await read("reviews.example.org")).toMatchObject({ error: expect.stringContaining("0 URI names") });
  const two = await read(ID, "spiffe://cluster.local/ns/other/sa/reviews");
  expect(two).toMatchObject({ error: expect.stringContaining("2 URI names") });
  expect(await read(ID, "https://example.org/")).toMatchObject({ error: expect.stringContaining("2 URI names") });
});

test.each([
  "spiffe://example.org/ns/bookinfo/sa/reviews",
  "spiffe://cluster.local.example.org/ns/bookinfo/sa/reviews",
  "spiffe://cluster.local/ns/bookinfo/sa/reviews/",
  "spiffe://cluster.local/ns/bookinfo/sa/reviews?x",
  "spiffe://cluster.local/ns/bookinfo/sa/",
  "spiffe://cluster.local/ns//sa/reviews",
  "spiffe://cluster.local/ns/../sa/reviews",
  "spiffe://cluster.local/ns/BOOKINFO/sa/reviews",
  "spiffe://cluster.local/ns/a%2Fb/sa/reviews",
  "spiffe://cluster.local/sa/reviews/ns/bookinfo",
  "spiffe://cluster.local/bookinfo/reviews",
  "https://cluster.local/ns/bookinfo/sa/reviews",
  "SPIFFE://cluster.local/ns/bookinfo/sa/reviews",
])("%s is no identity of this trust domain", async (id) => {
  expect(await read(id)).toMatchObject({ error: expect.stringContaining("not of the form") });
});

test("A name cannot pretend to be several", async () => {
  for (const name of [`x, URI:${ID}`, `x", URI:${ID}`, `x\\", URI:${ID}, DNS:"`, `"x", URI:${ID}`, `x\n, URI:${ID}`]) {
    expect(await readDnsNames(name), name).toMatchObject({ error: expect.any(String) });
    expect(await readDnsNames("first.example.org", name), name).toMatchObject({ error: expect.any(String) });
  }
  const joined = await read(`${ID}, URI:spiffe://cluster.local/ns/other/sa/x`);
  expect(joined).toMatchObject({ error: expect.stringContaining("not of the form") });
});
