// Generates TypeScript for the Envoy protos that the control plane uses, from the copies @grpc/grpc-js-xds ships
// and a few newer fields and files of our own (controlplane/protos). Only the import closure of ROOTS is generated.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const staging = join(root, "build", "protos");
const out = join(root, "controlplane", "gen");
const shipped = join(root, "node_modules", "@grpc", "grpc-js-xds", "deps");
const sources = [
  join(shipped, "envoy-api"),
  join(shipped, "xds"),
  join(shipped, "googleapis"),
  join(shipped, "protoc-gen-validate"),
  join(root, "controlplane", "protos"),
];
const rootsFile = join(root, "controlplane", "protos", "roots.txt");

/** Newer fields of messages that @grpc/grpc-js-xds ships in an older state: file -> [line to insert after, lines]. */
const ADDITIONS = {
  "envoy/extensions/wasm/v3/wasm.proto": [
    "CapabilityRestrictionConfig capability_restriction_config = 6;",
    `
  FailurePolicy failure_policy = 7;
  ReloadConfig reload_config = 8;
  google.protobuf.BoolValue allow_on_headers_stop_iteration = 9;
}

enum FailurePolicy {
  UNSPECIFIED = 0;
  FAIL_RELOAD = 1;
  FAIL_CLOSED = 2;
  FAIL_OPEN = 3;
}

message ReloadConfig {
  config.core.v3.BackoffStrategy backoff = 1;`,
  ],
};
const ADDED_IMPORTS = {
  "envoy/extensions/wasm/v3/wasm.proto": ["envoy/config/core/v3/backoff.proto", "google/protobuf/wrappers.proto"],
};

const ROOTS = readFileSync(rootsFile, "utf8")
  .split("\n")
  .filter((line) => line && !line.startsWith("#"));

/** The proto's text with our additions, and without the one validation rule that the shipped validate.proto lacks. */
function adapt(file, text) {
  let adapted = text.replaceAll(" ignore_empty: true", "");
  const addition = ADDITIONS[file];
  if (addition) {
    const [anchor, lines] = addition;
    if (!adapted.includes(anchor))
      throw new Error(`${file} no longer has "${anchor}": review ADDITIONS in this script`);
    adapted = adapted.replace(anchor, anchor + lines);
    const imports = ADDED_IMPORTS[file].map((imported) => `import "${imported}";`).join("\n");
    adapted = adapted.replace(/^import /m, `${imports}\nimport `);
  }
  return adapted;
}

/** Copies a proto file and everything it imports into the staging folder; well-known types stay with buf. */
function stage(file, seen) {
  if (seen.has(file) || file.startsWith("google/protobuf/")) return;
  seen.add(file);
  const source = sources.map((dir) => join(dir, file)).find((path) => existsSync(path));
  if (!source)
    throw new Error(
      `${file} is in none of ${sources.join(", ")}: run npm ci, or correct controlplane/protos/roots.txt`,
    );
  const text = adapt(file, readFileSync(source, "utf8"));
  for (const [, imported] of text.matchAll(/^\s*import\s+(?:public\s+|weak\s+)?"([^"]+)"\s*;/gm)) stage(imported, seen);
  const target = join(staging, file);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
}

rmSync(staging, { recursive: true, force: true });
rmSync(out, { recursive: true, force: true });
const seen = new Set();
for (const file of ROOTS) stage(file, seen);
const template = {
  version: "v2",
  plugins: [
    {
      local: [process.execPath, join(root, "node_modules", "@bufbuild", "protoc-gen-es", "bin", "protoc-gen-es")],
      out,
      opt: ["target=ts", "import_extension=js"],
    },
  ],
};
execFileSync(
  process.execPath,
  [
    join(root, "node_modules", "@bufbuild", "buf", "bin", "buf"),
    "generate",
    staging,
    "--template",
    JSON.stringify(template),
  ],
  { stdio: "inherit" },
);
