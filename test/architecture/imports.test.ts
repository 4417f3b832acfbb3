// Keeps the arrow an arrow: which folder may import which, as the design's table says.
import { expect, test } from "vitest";
import { ownImports, sourceFiles } from "./source-files.js";

const EVERYTHING = ["bin", "controlplane", "envoy", "examples", "filters", "test"];

/**
 * Folder or file -> what it may import besides itself, libraries and generated protos. The longest entry that a path
 * starts with is the one that counts; a folder that is not here is a folder that nobody thought about.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "controlplane/sources": ["controlplane/kube", "controlplane/resources", "controlplane/policy/regex"],
  "controlplane/kube": [],
  "controlplane/kube-status": [
    "controlplane/kube",
    "controlplane/mesh",
    "controlplane/proxy",
    "controlplane/publish",
    "controlplane/resources",
    "controlplane/sources",
    "controlplane/translate",
    "controlplane/xds",
  ],
  "controlplane/resources": [],
  "controlplane/admission": [
    "controlplane/certificates",
    "controlplane/injection",
    "controlplane/kube",
    "controlplane/resources",
    "controlplane/sources/reader",
  ],
  "controlplane/certificates": [],
  "controlplane/definitions": ["controlplane/resources", "controlplane/sources/kubernetes-kinds"],
  "controlplane/injection": [],
  "controlplane/mesh": ["controlplane/resources"],
  "controlplane/proxy": [],
  "controlplane/policy": ["controlplane/mesh", "controlplane/resources", "filters/policy/tags"],
  "controlplane/translate": [
    "controlplane/mesh",
    "controlplane/proxy",
    "controlplane/policy",
    "controlplane/resources",
    "filters/policy/tags",
  ],
  "controlplane/xds": [],
  "controlplane/publish": [
    "controlplane/sources",
    "controlplane/resources",
    "controlplane/mesh",
    "controlplane/proxy",
    "controlplane/translate",
    "controlplane/xds",
  ],
  "controlplane/admin": [
    "controlplane/resources",
    "controlplane/mesh",
    "controlplane/proxy",
    "controlplane/publish",
    "controlplane/xds",
  ],
  "controlplane/agent": ["controlplane/identity/followed-files"],
  "controlplane/identity": ["controlplane/certificates", "controlplane/kube", "controlplane/proxy", "controlplane/xds"],
  "controlplane/registry": ["controlplane/kube", "controlplane/resources/module-source"],
  "controlplane/registration": [
    "controlplane/kube",
    "controlplane/proxy",
    "controlplane/registry/durable",
    "controlplane/resources",
  ],
  "controlplane/rollout": ["controlplane/kube", "controlplane/registry", "controlplane/proxy", "controlplane/xds"],
  "controlplane/modules": [
    "controlplane/mesh",
    "controlplane/proxy",
    "controlplane/registry",
    "controlplane/resources",
    "controlplane/translate",
  ],
  "controlplane/wasm-host": ["controlplane/policy", "controlplane/resources", "filters/policy/tags"],
  "controlplane/explain": [
    "controlplane/resources",
    "controlplane/mesh",
    "controlplane/proxy",
    "controlplane/policy",
    "controlplane/translate",
    "controlplane/wasm-host",
  ],
  "controlplane/cli": EVERYTHING,
  "controlplane/main": EVERYTHING,
  "filters/abi": [],
  // memory.ts hands out scratch and makes no host call.
  "filters/policy": ["filters/abi/memory"],
  "filters/match": ["filters/policy", "filters/abi/memory"],
  "filters/rollout": ["filters/policy"],
  "filters/fault": ["filters/policy"],
  "filters/telemetry": ["filters/abi", "filters/policy"],
  "filters/pausing": ["filters/abi", "filters/fault", "filters/telemetry"],
  "filters/lifecycle": ["filters/abi", "filters/pausing", "filters/rollout", "filters/telemetry"],
  "filters/traffic": ["filters"],
  "filters/try": ["filters"],
  "filters/trapping": ["filters"],
  "filters/explain": ["filters/policy", "filters/match", "filters/rollout", "filters/fault"],
  examples: [],
  "examples/filters": ["filters/abi"],
  bench: [...EVERYTHING],
  scripts: ["dist", "bin"],
  bin: ["dist"],
  test: [...EVERYTHING, "scripts", "dist"],
  "test/scale": [...EVERYTHING, "bench"],
};

/** Decide by their arguments alone. */
const PURE = ["resources", "mesh", "proxy", "policy", "translate"].map((name) => `controlplane/${name}/`);
const IMPURE = /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bprocess\.|\bconsole\.|["'](pino|node:fs)\b/;
const READS_ENVIRONMENT = ["controlplane/main.ts", "controlplane/cli/", "controlplane/agent/"];

const files = sourceFiles(process.cwd());

function within(path: string, entry: string): boolean {
  return path === entry || path.startsWith(`${entry}/`);
}

function entryOf(path: string): string | undefined {
  const bare = path.replace(/\.(ts|mjs|js)$/, "");
  return Object.keys(MAY_IMPORT)
    .filter((entry) => within(bare, entry))
    .sort((a, b) => b.length - a.length)[0];
}

test("There are files to look at", () => {
  expect(files.length).toBeGreaterThan(20);
});

test("Every source file lies in a folder that the table knows", () => {
  expect(files.map((file) => file.path).filter((path) => !entryOf(path))).toEqual([]);
});

test("No file imports what its folder may not import", () => {
  const faults = files.flatMap((file) => {
    const own = entryOf(file.path) ?? "";
    const allowed = [own, ...(MAY_IMPORT[own] ?? [])];
    return ownImports(file)
      .filter((imported) => !allowed.some((entry) => within(imported, entry)))
      .map((imported) => `${file.path} imports ${imported}`);
  });
  expect(faults).toEqual([]);
});

test("Nothing below main.ts reads the environment, but for the commands and the agent", () => {
  const faults = files.filter(
    ({ path, text }) =>
      path.startsWith("controlplane/") &&
      !READS_ENVIRONMENT.some((allowed) => path.startsWith(allowed)) &&
      /\bprocess\.(env|argv|cwd)\b/.test(text),
  );
  expect(faults.map((file) => file.path)).toEqual([]);
});

test("What decides has no clock, no randomness, no files and no logger", () => {
  const faults = files.filter(({ path, text }) => PURE.some((folder) => path.startsWith(folder)) && IMPURE.test(text));
  expect(faults.map((file) => file.path)).toEqual([]);
});

test("A forbidden import would be found", () => {
  const file = {
    path: "controlplane/xds/a.ts",
    text: `import type {\n  A,\n} from "../mesh/a.js";\nexport * from "./b.js";\nawait import("../gen/envoy/x.js");`,
  };
  expect(ownImports(file)).toEqual(["controlplane/mesh/a", "controlplane/xds/b"]);
});
