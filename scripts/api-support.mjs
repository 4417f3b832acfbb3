// `npm run docs:api` writes docs/api-support.md; with --list it prints the fields' names instead, for covers().
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { main, root } from "./steps.mjs";

await main(build);
if (process.argv.includes("--list")) {
  const { listSupport } = await import("../dist/controlplane/resources/support.js");
  for (const { kind, path } of listSupport()) console.log(`${kind} ${path.replace(/^spec\./, "")}`);
} else {
  const { apiSupportPage } = await import("../dist/test/resources/api-support-page.js");
  writeFileSync(join(root, "docs", "api-support.md"), apiSupportPage(root));
}
