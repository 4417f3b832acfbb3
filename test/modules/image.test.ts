// Modules out of images: one suite against a small registry of the test's own and, where it is installed, Debian's.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import type { Credentials } from "../../controlplane/modules/pull-secret.js";
import { pullModule } from "../../controlplane/modules/wasm-image.js";
import { parseModuleSource } from "../../controlplane/resources/module-source.js";
import { freePort } from "../harness/addresses.js";
import { type Scope, testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { archive, compressed, DOCKER, hex, type Layer, OCI, pushImage, putManifest } from "./images.js";
import { startTestRegistry } from "./test-registry.js";

const scope = testScope();
const WASM = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
const ARTIFACT: Layer = { mediaType: "application/vnd.module.wasm.content.layer.v1+wasm", content: WASM };
const WHO = { username: "puller", password: "pässword:1" };
const DEBIAN = "/usr/bin/docker-registry";

function pull(url: string, more: { sha256?: string; credentials?: Credentials; mostBytes?: number } = {}) {
  const reference = parseModuleSource(url);
  if (reference?.type !== "oci") throw new Error(`${url} is no image`);
  return pullModule({ reference, plain: true, mostBytes: 1_000, signal: new AbortController().signal, ...more });
}

const fault = (text: string) => ({ fault: { code: "unknown-module", message: expect.stringContaining(text) } });

const registries: readonly [string, (scope: Scope) => Promise<string>][] = [
  ["a small registry", async (scope) => (await startTestRegistry(scope)).host],
  ...(existsSync(DEBIAN) ? [["Debian's docker-registry", startDebian] as [string, typeof startDebian]] : []),
];

describe.each(registries)("an image in %s", (_name, start) => {
  let host: string;
  beforeAll(async () => {
    host = await start(scope);
  });

  test.each([
    "application/vnd.module.wasm.content.layer.v1+wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/wasm",
  ])("gives the module that is a layer of the type %s", async (mediaType) => {
    const digest = await pushImage(host, "filters/hello", "1.0", [{ mediaType, content: WASM }]);
    expect(await pull(`oci://${host}/filters/hello:1.0`, { sha256: digest })).toEqual({ value: Buffer.from(WASM) });
    expect(await pull(`oci://${host}/filters/hello@sha256:${digest}`)).toEqual({ value: Buffer.from(WASM) });
  });

  test.each([
    ["OCI's", OCI],
    ["Docker's", DOCKER],
  ])("gives the file plugin.wasm of the last layer that has it, in %s media types", async (_whose, type) => {
    const layers = [
      await compressed(scope, { "plugin.wasm": Buffer.from("an older one") }, type),
      await compressed(scope, { "plugin.wasm": WASM, other: Buffer.from("x") }, type),
      await compressed(scope, { "my-plugin.wasm": Buffer.from("another") }, type),
    ];
    await pushImage(host, "filters/compat", "latest", layers, type);
    expect(await pull(`oci://${host}/filters/compat`, { mostBytes: 100_000 })).toEqual({ value: Buffer.from(WASM) });
  });

  test("is found by way of an index, the one for Wasm before others", async () => {
    const wrong = await pushImage(host, "filters/many", "amd64", [{ ...ARTIFACT, content: Buffer.from("no") }]);
    const right = await pushImage(host, "filters/many", "wasm", [ARTIFACT]);
    const entry = (digest: string, os: string, architecture: string) => {
      const size = 0;
      return { mediaType: OCI.manifest, digest: `sha256:${digest}`, size, platform: { os, architecture } };
    };
    const manifests = [entry(wrong, "linux", "amd64"), entry(right, "wasip1", "wasm")];
    const mediaType = "application/vnd.oci.image.index.v1+json";
    await putManifest(host, "filters/many", "latest", { schemaVersion: 2, mediaType, manifests });
    expect(await pull(`oci://${host}/filters/many`)).toEqual({ value: Buffer.from(WASM) });
  });

  test("that is not there, or has another checksum or nothing of use, is told of", async () => {
    const digest = await pushImage(host, "filters/odd", "1", [{ mediaType: "text/plain", content: Buffer.from("x") }]);
    expect(await pull(`oci://${host}/filters/none:1`)).toEqual(fault("404"));
    expect(await pull(`oci://${host}/filters/odd:1`, { sha256: "0".repeat(64) })).toEqual(fault(digest));
    expect(await pull(`oci://${host}/filters/odd:1`)).toEqual(fault("text/plain"));
  });

  test("that is larger than a module may be is refused, unpacked too", async () => {
    await pushImage(host, "filters/large", "1", [{ ...ARTIFACT, content: Buffer.alloc(2_000) }]);
    expect(await pull(`oci://${host}/filters/large:1`)).toEqual(fault("more than 1000 bytes"));
    const bomb = gzipSync(await archive(scope, { "plugin.wasm": Buffer.alloc(4 << 20) }));
    const mediaType = "application/vnd.oci.image.layer.v1.tar+gzip";
    await pushImage(host, "filters/bomb", "1", [{ mediaType, content: bomb }]);
    expect(await pull(`oci://${host}/filters/bomb:1`)).toEqual(fault("unpacks to more"));
  });
});

describe("a registry", () => {
  test.each(["basic", "bearer"] as const)("that wants credentials by the scheme %s gets them", async (scheme) => {
    const { host, requests } = await startTestRegistry(scope, { credentials: { ...WHO, scheme } });
    const authorization = `Basic ${Buffer.from(`${WHO.username}:${WHO.password}`).toString("base64")}`;
    let headers = { authorization };
    if (scheme === "bearer") {
      const query = `service=${encodeURIComponent("test, with a comma")}&scope=repository:filters/hello:pull`;
      const answer = await fetch(`http://${host}/token?${query}`, { headers });
      headers = { authorization: `Bearer ${((await answer.json()) as { token: string }).token}` };
    }
    await pushImage(host, "filters/hello", "1", [ARTIFACT], OCI, headers);
    const before = requests.length;
    expect(await pull(`oci://${host}/filters/hello:1`, { credentials: WHO })).toEqual({ value: Buffer.from(WASM) });
    // The manifest twice, for the challenge, and nothing else more than once.
    expect(requests.slice(before).filter((line) => line.includes("/manifests/"))).toHaveLength(2);
    expect(requests.slice(before).filter((line) => line.includes("/blobs/"))).toHaveLength(1);
    expect(await pull(`oci://${host}/filters/hello:1`)).toEqual(fault("imagePullSecret"));
    const wrong = await pull(`oci://${host}/filters/hello:1`, { credentials: { ...WHO, password: "wrong" } });
    expect(wrong).toEqual(fault("401"));
    expect(JSON.stringify(wrong)).not.toContain("wrong");
  });

  test("that gives blobs elsewhere is followed, without its credentials", async () => {
    const credentials = { ...WHO, scheme: "basic" as const };
    const { host, requests } = await startTestRegistry(scope, { credentials, redirectsBlobs: true });
    const authorization = `Basic ${Buffer.from(`${WHO.username}:${WHO.password}`).toString("base64")}`;
    await pushImage(host, "filters/hello", "1", [ARTIFACT], OCI, { authorization });
    expect(await pull(`oci://${host}/filters/hello:1`, { credentials: WHO })).toEqual({ value: Buffer.from(WASM) });
    expect(requests.at(-1)).toBe(`GET /elsewhere/sha256:${hex(WASM)}`);
  });

  test("that gives other content than a digest says is not believed", async () => {
    const registry = await startTestRegistry(scope);
    const digest = await pushImage(registry.host, "filters/hello", "1", [ARTIFACT]);
    registry.tamper((name, content) => (name === `sha256:${hex(WASM)}` ? Buffer.from([...content, 1]) : content));
    expect(await pull(`oci://${registry.host}/filters/hello:1`)).toEqual(fault(hex(WASM)));
    registry.tamper((name, content) => (name === `sha256:${digest}` ? Buffer.concat([content, content]) : content));
    expect(await pull(`oci://${registry.host}/filters/hello@sha256:${digest}`)).toEqual(fault(digest));
  });
});

/** Debian's package docker-registry: the reference implementation, on files. */
async function startDebian(own: Scope): Promise<string> {
  const directory = await own.directory();
  // It cannot say which port it got.
  const port = await freePort();
  const settings = `version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: ${join(directory, "data")}}}
http: {addr: "127.0.0.1:${port}"}
`;
  await writeFile(join(directory, "registry.yml"), settings);
  const child = spawn(DEBIAN, ["serve", join(directory, "registry.yml")], { stdio: "ignore" });
  own.use({ close: () => child.kill() });
  const host = `127.0.0.1:${port}`;
  await eventually("the registry answers", async () => (await fetch(`http://${host}/v2/`)).ok);
  return host;
}
