// Secrets: their two forms for TLS, the checks of certificates and keys, and that no message tells what is in them.
import { generateKeyPairSync } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { createAuthority, type KeyedCertificate } from "../harness/certificates.js";
import { decodeValue } from "./decoding.js";

let authority: string;
let pair: KeyedCertificate;
let other: KeyedCertificate;

beforeAll(async () => {
  const issuer = await createAuthority("test");
  authority = issuer.certificate;
  pair = await issuer.issue(["a.example.com"]);
  other = await issuer.issue(["b.example.com"]);
});

function secret(type: string, stringData: Record<string, string>, data: Record<string, string> = {}) {
  return decodeValue({ apiVersion: "v1", kind: "Secret", metadata: { name: "a" }, type, stringData, data });
}

function faults(decoded: ReturnType<typeof decodeValue>): string[] {
  return decoded.violations.map(({ code, path }) => `${code} ${path}`);
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

describe("a Secret", () => {
  test("is decoded from base64, and stringData wins over data", () => {
    const { resource } = secret("Opaque", { a: "from text" }, { a: base64("from data"), b: base64("bytes\u0000") });
    const data = resource?.kind === "Secret" ? resource.spec.data : new Map<string, Uint8Array>();
    expect([...data].map(([name, bytes]) => [name, new TextDecoder().decode(bytes)])).toEqual([
      ["a", "from text"],
      ["b", "bytes\u0000"],
    ]);
  });

  test("of type kubernetes.io/tls has a certificate and its key, and may have an authority", () => {
    const keys = { "tls.crt": pair.certificate, "tls.key": pair.privateKey };
    expect(faults(secret("kubernetes.io/tls", keys))).toEqual([]);
    expect(faults(secret("kubernetes.io/tls", { ...keys, "ca.crt": authority + other.certificate }))).toEqual([]);
    const encoded = { "tls.crt": base64(pair.certificate), "tls.key": base64(pair.privateKey) };
    expect(faults(secret("kubernetes.io/tls", {}, encoded))).toEqual([]);
    expect(faults(secret("kubernetes.io/tls", {}))).toEqual([
      'missing-field data["tls.crt"]',
      'missing-field data["tls.key"]',
    ]);
  });

  test("of a generic type can name them cert, key and cacert", () => {
    const keys = { cert: pair.certificate, key: pair.privateKey, cacert: authority };
    expect(faults(secret("Opaque", keys))).toEqual([]);
    expect(faults(secret("generic", { ...keys, cacert: "nonsense" }))).toEqual([
      "invalid-certificate stringData.cacert",
    ]);
    expect(faults(secret("Opaque", { cacert: authority }))).toEqual([]);
  });

  test("with a key that belongs to another certificate is refused", () => {
    expect(faults(secret("kubernetes.io/tls", { "tls.crt": pair.certificate, "tls.key": other.privateKey }))).toEqual([
      'invalid-certificate stringData["tls.key"]',
    ]);
  });

  test("takes keys of the kinds that TLS has", () => {
    for (const { privateKey } of [
      generateKeyPairSync("rsa", { modulusLength: 2_048 }),
      generateKeyPairSync("ec", { namedCurve: "P-256" }),
      generateKeyPairSync("ed25519"),
    ]) {
      const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
      const [fault] = secret("Opaque", { cert: pair.certificate, key }).violations;
      expect(fault?.message).toContain("is not the key of the first certificate");
    }
  });

  test("that is nobody's certificate may hold anything", () => {
    expect(faults(secret("Opaque", { key: "an API key", password: "x", "ca.crt": "y" }))).toEqual([]);
  });

  test("never shows in a message", () => {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
    const locked = privateKey
      .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "hush" })
      .toString();
    const marker = "c2VjcmV0LW1hcmtlcg";
    const broken = [
      secret("kubernetes.io/tls", { "tls.crt": marker, "tls.key": marker }),
      secret("kubernetes.io/tls", { "tls.crt": pair.certificate, "tls.key": locked }),
      secret("kubernetes.io/tls", {}, { "tls.crt": `${marker}!`, "tls.key": `${marker}!` }),
      decodeValue({
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "a" },
        stringData: { a: [marker] },
        data: marker,
      }),
      decodeValue({ apiVersion: "v1", kind: "Secret", metadata: { name: "a" }, stringData: { a: { b: marker } } }),
    ];
    for (const { violations } of broken) {
      expect(violations.length).toBeGreaterThan(0);
      const shown = JSON.stringify(violations);
      expect(shown).not.toContain(marker);
      for (const line of locked.split("\n").slice(1, -2)) expect(shown).not.toContain(line);
    }
  });
});
