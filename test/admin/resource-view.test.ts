// Resources as people see them: decoded to the last extension, and without anything secret.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { viewResource } from "../../controlplane/admin/resource-view.js";
import { SecretSchema } from "../../controlplane/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { encodeResource } from "../../controlplane/translate/resource.js";
import { translate } from "../../controlplane/translate/translate.js";
import { createAuthority } from "../harness/certificates.js";
import { readGoldenCase } from "../translate/golden.js";

const TESTDATA = join(import.meta.dirname, "..", "translate", "testdata");
const cases = readdirSync(TESTDATA).filter((file) => file.endsWith(".in.yaml"));
const utf8 = (text: string) => new TextEncoder().encode(text);

test.each(cases)("Everything that %s translates to is decoded", (file) => {
  const { mesh, proxy } = readGoldenCase(join(TESTDATA, file));
  const resources = translate(mesh, proxy, { trafficFilter: { wasm: new Uint8Array(100_000) } });
  const views = resources.map((resource) => JSON.stringify(viewResource(resource)));
  expect(views.filter((view) => view.includes('"omitted"'))).toEqual([]);
  expect(Math.max(...views.map((view) => view.length))).toBeLessThan(50_000);
});

test("The module and compiled policies are told by size and hash", () => {
  const { mesh, proxy } = readGoldenCase(join(TESTDATA, "http-rules.in.yaml"));
  const resources = translate(mesh, proxy, { trafficFilter: { wasm: new Uint8Array(100_000) } });
  const all = JSON.stringify(resources.map(viewResource));
  const found = all.match(/"(inlineBytes|value)":"\((\d+) bytes, SHA-256 [0-9a-f]{16}\)"/g) ?? [];
  expect(found).toHaveLength(2);
  expect(found.join()).toContain('"inlineBytes":"(100000 bytes');
});

test("A certificate secret shows its certificates' subjects and expiry, and nothing else", async () => {
  const authority = await createAuthority("test");
  const { certificate, privateKey } = await authority.issue(["site.example.org"]);
  const inline = (text: string) => ({ specifier: { case: "inlineBytes" as const, value: utf8(text) } });
  const value = {
    certificateChain: inline(certificate + authority.certificate),
    privateKey: inline(privateKey),
    password: inline("hunter2"),
  };
  const secret = create(SecretSchema, { name: "site", type: { case: "tlsCertificate", value } });
  const expires = expect.stringMatching(/^\d{4}-\d\d-\d\dT/);
  expect(viewResource(encodeResource(SecretSchema, "site", secret))).toEqual({
    name: "site",
    certificateChain: [
      { subject: "CN=site.example.org", expires },
      { subject: "CN=test", expires },
    ],
  });
});

test("Of any other secret only its name and what it holds are shown", () => {
  const generic = { secret: { specifier: { case: "inlineString" as const, value: "hunter2" } } };
  const keys = { keys: [{ specifier: { case: "inlineString" as const, value: "hunter2" } }] };
  const secrets = [
    create(SecretSchema, { name: "s", type: { case: "genericSecret", value: generic } }),
    create(SecretSchema, { name: "s", type: { case: "sessionTicketKeys", value: keys } }),
    create(SecretSchema, { name: "s" }),
  ];
  const views = secrets.map((secret) => viewResource(encodeResource(SecretSchema, "s", secret)));
  expect(views).toEqual([
    { name: "s", holds: "genericSecret" },
    { name: "s", holds: "sessionTicketKeys" },
    { name: "s", holds: "nothing" },
  ]);
});

test("What is no certificate does not stand in the way of the others", () => {
  const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const value = { trustedCa: { specifier: { case: "inlineBytes" as const, value: utf8(broken.repeat(12)) } } };
  const secret = create(SecretSchema, { name: "ca", type: { case: "validationContext", value } });
  const view = viewResource(encodeResource(SecretSchema, "ca", secret)) as { trustedCa: unknown[] };
  expect(view.trustedCa).toHaveLength(11);
  expect(view.trustedCa.at(-1)).toBe("and 2 more");
});

test("A resource too large to be decoded for somebody's curiosity is told by its size", () => {
  const any = new Uint8Array(5_000_000);
  expect(viewResource({ name: "large", version: "1", any })).toEqual({
    omitted: "5000000 bytes are too many to show",
  });
});
