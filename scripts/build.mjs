// Builds what runs: the generated protos, the filters (build/*.wasm) and the control plane (dist/).
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { main, root, run, stamped } from "./steps.mjs";

const node = process.execPath;
const bin = (...path) => join(root, "node_modules", ...path);

const FILTER_CONFIGS = ["asconfig.json", "asconfig.try.json", "asconfig.trapping.json"];

export async function build() {
  await stamped({
    name: "protos",
    title: "Generating Envoy's protos",
    inputs: ["controlplane/protos", "scripts/generate-protos.mjs", "package-lock.json"],
    outputs: ["controlplane/gen"],
    work: () => run(node, [join(root, "scripts", "generate-protos.mjs")]),
  });
  await stamped({
    name: "filter",
    title: "Compiling the filters to Wasm",
    inputs: ["filters", ...FILTER_CONFIGS, "package-lock.json"],
    outputs: ["build/traffic.wasm", "build/try.wasm", "build/trapping.wasm"],
    work: async () => {
      for (const config of FILTER_CONFIGS)
        await run(node, [bin("assemblyscript", "bin", "asc.js"), "--config", config, "--target", "release"]);
    },
  });
  await stamped({
    name: "controlplane",
    title: "Compiling the control plane",
    inputs: ["controlplane", "bench", "test", "examples", "filters/policy", "tsconfig.json", "package-lock.json"],
    outputs: ["dist/controlplane"],
    work: () => {
      // What tsc remembers says nothing of files that were deleted from dist since.
      if (!existsSync(join(root, "dist", "controlplane")))
        rmSync(join(root, "build", "tsconfig.tsbuildinfo"), { force: true });
      return run(node, [bin("typescript", "bin", "tsc"), "-p", "."]);
    },
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(build);
