// What decoded WasmPlugins and TrafficExtensions look like, and what their urls mean.
import { describe, expect, test } from "vitest";
import { parseModuleSource } from "../../controlplane/resources/module-source.js";
import { validResource } from "./decoding.js";

const DIGEST = "1ef0c9a92b0420cf25f7fe5d481b231464bc88f486ca3b9c83ed5cc21d2f6210";

describe("a WasmPlugin", () => {
  test("has its placement and its module", () => {
    expect(validResource("extensions", "WasmPlugin", "everything").spec).toEqual({
      selector: { app: "reviews" },
      phase: "AUTHZ",
      priority: -7,
      match: [
        { mode: "CLIENT", ports: [80] },
        { mode: "CLIENT_AND_SERVER", ports: [] },
      ],
      wasm: {
        url: "https://example.com/filter.wasm",
        source: { type: "http", url: "https://example.com/filter.wasm" },
        sha256: DIGEST,
        pullPolicy: "Always",
        configuration: '{"list":[1,true,{"deep":null}]}',
        pluginName: "root",
        failStrategy: "FAIL_RELOAD",
        environment: new Map([
          ["PLACE", "here"],
          ["EMPTY", ""],
        ]),
        hostEnvironment: ["HOME"],
      },
    });
  });

  test("is an image where its url has no scheme, and pulls the tag latest always", () => {
    const { spec } = validResource("extensions", "WasmPlugin", "image");
    const source = { type: "oci", registry: "registry-1.docker.io", repository: "example/filter", tag: "latest" };
    expect(spec.wasm).toMatchObject({ source, pullPolicy: "Always", pullSecret: "pull", failStrategy: "FAIL_CLOSE" });
    expect(spec).toMatchObject({ selector: {}, phase: "UNSPECIFIED", priority: 0, match: [] });
  });
});

test("a TrafficExtension has the spec that a WasmPlugin has", () => {
  const { spec } = validResource("extensions", "TrafficExtension", "everything");
  expect(spec).toMatchObject({ phase: "STATS", wasm: { pullPolicy: "IfNotPresent", configuration: "" } });
});

test("a TrafficExtension may have a script instead", () => {
  const { spec } = validResource("extensions", "TrafficExtension", "script");
  expect(spec).toEqual({
    selector: {},
    phase: "UNSPECIFIED",
    priority: 0,
    match: [],
    lua: "function envoy_on_request(handle) end",
  });
});

describe("a module's url", () => {
  test.each([
    ["file:///opt/a.wasm", { type: "file", path: "/opt/a.wasm" }],
    ["https://example.com/a.wasm?b=c", { type: "http", url: "https://example.com/a.wasm?b=c" }],
    ["headgate://hello", { type: "registry", filter: "hello" }],
    ["headgate://hello.v2@1.0+x", { type: "registry", filter: "hello.v2", version: "1.0+x" }],
    ["alpine", { type: "oci", registry: "registry-1.docker.io", repository: "library/alpine", tag: "latest" }],
    ["localhost/a", { type: "oci", registry: "localhost", repository: "a", tag: "latest" }],
    ["oci://r.example.com:5000/a/b:1", { type: "oci", registry: "r.example.com:5000", repository: "a/b", tag: "1" }],
    [
      `oci://r.example.com/a:1@sha256:${DIGEST}`,
      { type: "oci", registry: "r.example.com", repository: "a", tag: "1", digest: DIGEST },
    ],
  ])("%s is read", (url, source) => {
    expect(parseModuleSource(url)).toEqual(source);
  });

  test.each([
    "",
    "file://relative.wasm",
    "ftp://example.com/a",
    "https://",
    "https://user:secret@example.com/a.wasm",
    "oci://r.example.com/UPPER",
    "oci://r.example.com/a:",
    "oci://r.example.com/a/../b",
    "oci://r.example.com/a@sha256:short",
    "oci://user@r.example.com/a",
    "headgate://Hello",
    "headgate://hello@",
    "headgate://../etc@1",
  ])("%j is none", (url) => {
    expect(parseModuleSource(url)).toBeUndefined();
  });
});
