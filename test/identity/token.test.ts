// Which bearer tokens are taken, and as whose.
import { createHmac, generateKeyPairSync } from "node:crypto";
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { beforeAll, expect, test } from "vitest";
import { createTokenVerifier, type TokenVerifier } from "../../controlplane/identity/token.js";

type Keys = Awaited<ReturnType<typeof generateKeyPair>>;
const SUBJECT = "system:serviceaccount:bookinfo:reviews";
let keys: Keys;
let verify: TokenVerifier;

beforeAll(async () => {
  keys = await generateKeyPair("ES256", { extractable: true });
  verify = verifierOf([{ ...(await exportJWK(keys.publicKey)), kid: "one", alg: "ES256" }]);
});

function verifierOf(jwks: object[]): TokenVerifier {
  const made = createTokenVerifier(JSON.stringify({ keys: jwks }), "headgate", "cluster.local");
  if ("error" in made) throw new Error(made.error);
  return made.value;
}

interface TokenOptions {
  readonly claims?: JWTPayload;
  readonly expires?: string | number;
  readonly signer?: Keys;
  readonly kid?: string;
  readonly alg?: string;
}

function token({ claims = {}, expires = "1h", signer = keys, kid = "one", alg = "ES256" }: TokenOptions = {}) {
  const made = new SignJWT({ sub: SUBJECT, aud: "headgate", ...claims }).setProtectedHeader({ alg, kid });
  return made.setExpirationTime(expires).sign(signer.privateKey);
}

test("A service account as Kubernetes writes it, or as a SPIFFE ID, is the identity", async () => {
  const identity = { namespace: "bookinfo", serviceAccount: "reviews" };
  expect(await verify(await token())).toEqual({ identity });
  const spiffe = await token({ claims: { sub: "spiffe://cluster.local/ns/bookinfo/sa/reviews" } });
  expect(await verify(spiffe)).toEqual({ identity });
  expect(await verify(await token({ claims: { aud: ["other", "headgate"] } }))).toEqual({ identity });
});

test.each<[string, TokenOptions, string]>([
  ["expired", { expires: 1_000_000_000 }, "expired"],
  ["not valid yet", { claims: { nbf: 4_000_000_000 } }, "claim nbf"],
  ["meant for another", { claims: { aud: "istio-ca" } }, "claim aud"],
  ["of another trust domain", { claims: { sub: "spiffe://example.org/ns/bookinfo/sa/reviews" } }, "no service account"],
  ["of a user", { claims: { sub: "system:admin" } }, "no service account"],
  ["of a service account with too many parts", { claims: { sub: `${SUBJECT}:x` } }, "no service account"],
  ["of a namespace that cannot be", { claims: { sub: "system:serviceaccount:a/b:reviews" } }, "no service account"],
  ["signed by a key with another name", { kid: "two" }, "none of the known keys"],
])("A token is refused that is %s", async (_, options, reason) => {
  expect(await verify(await token(options))).toEqual({ error: expect.stringContaining(reason) });
});

test("A token that another key has signed is refused", async () => {
  const signer = await generateKeyPair("ES256", { extractable: true });
  expect(await verify(await token({ signer }))).toEqual({ error: "the token's signature does not hold" });
});

test("A token without expiry or subject is refused", async () => {
  const head = { alg: "ES256", kid: "one" };
  const eternal = await new SignJWT({ sub: SUBJECT, aud: "headgate" }).setProtectedHeader(head).sign(keys.privateKey);
  expect(await verify(eternal)).toEqual({ error: "the token's claim exp does not hold" });
  expect(await verify(await token({ claims: { sub: undefined } as never }))).toEqual({
    error: "the token's claim sub does not hold",
  });
});

test("A token cannot choose to be unsigned, or signed with the public key as if it were a secret", async () => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const payload = part({ sub: SUBJECT, aud: "headgate", exp: 4_000_000_000 });
  const unsigned = `${part({ alg: "none" })}.${payload}.`;
  const signed = `${part({ alg: "HS256", kid: "one" })}.${payload}`;
  const secret = await exportSPKI(keys.publicKey);
  for (const forged of [unsigned, `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`]) {
    expect(await verify(forged)).toEqual({ error: expect.stringContaining("its algorithm is not taken") });
  }
});

test("What is no token is refused, and nothing of it comes back", async () => {
  for (const garbage of ["hunter2", "a.b.c", `${"A".repeat(9_000)}`, "..", "\u0000"]) {
    const verdict = await verify(garbage);
    expect(verdict).toEqual({ error: expect.any(String) });
    expect(JSON.stringify(verdict)).not.toMatch(/hunter2|AAAA/);
  }
});

test("A key set is refused that has secrets in it, has no keys, or is none", async () => {
  const make = (text: string) => createTokenVerifier(text, "headgate", "cluster.local");
  const secret = { error: "the key set has secret keys: give public ones only" };
  expect(make(JSON.stringify({ keys: [{ kty: "oct", k: "c2VjcmV0" }] }))).toEqual(secret);
  expect(make(JSON.stringify({ keys: [await exportJWK(keys.privateKey)] }))).toEqual(secret);
  expect(make('{"keys": []}')).toEqual({ error: "the key set has no keys" });
  for (const text of ["", "[]", "{}", "null", "secret words"]) {
    expect(make(text), text).toEqual({ error: "this is no JSON Web Key Set" });
  }
});

test("Several keys of one set are told apart by their names", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const both = verifierOf([
    { ...(await exportJWK(keys.publicKey)), kid: "one" },
    { ...publicKey.export({ format: "jwk" }), kid: "ed" },
  ]);
  const byOther = new SignJWT({ sub: SUBJECT, aud: "headgate" }).setProtectedHeader({ alg: "EdDSA", kid: "ed" });
  expect(await both(await byOther.setExpirationTime("1h").sign(privateKey))).toHaveProperty("identity");
  expect(await both(await token())).toHaveProperty("identity");
});
