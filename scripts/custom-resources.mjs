// `npm run deploy:crds` writes the CustomResourceDefinitions in deploy/kubernetes/crds/.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { main, root } from "./steps.mjs";

await main(build);
const { definitionFiles } = await import("../dist/controlplane/definitions/files.js");
for (const [name, text] of definitionFiles()) {
  writeFileSync(join(root, "deploy", "kubernetes", "crds", name), text);
}
