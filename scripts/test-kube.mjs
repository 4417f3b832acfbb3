// `npm run test:kube`: set-up, the binaries of Kubernetes and what checks deploy/, then the tests on a real API server; arguments go to vitest.
// `--get` only gets the binaries.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { setup } from "./setup.mjs";
import { main, root, SetupError, showing } from "./steps.mjs";

await main(async () => {
  await setup();
  const { findKubeBinaries } = await import("../dist/test/kube/support/binaries.js");
  const found = await showing("Looking for Kubernetes", (onProgress) =>
    findKubeBinaries({ env: process.env, get: true, onProgress }),
  );
  if ("error" in found) throw new SetupError(found.error);
  const { DEPLOY_TOOLS, findDeployTool } = await import("../dist/test/deploy/support/tools.js");
  await showing("Looking for what checks deploy/", async (onProgress) => {
    for (const tool of DEPLOY_TOOLS) {
      const tried = await findDeployTool(tool, { env: process.env, get: true, onProgress });
      if ("error" in tried) onProgress(`${tried.error} Its tests are skipped.`);
    }
  });
});
if (!process.argv.includes("--get")) {
  const args = [
    join(root, "scripts", "test.mjs"),
    "test/kube",
    "test/kube-status",
    "test/deploy",
    "test/admission",
    "test/injection",
    "test/identity/ads-authority",
    "test/identity/token-review",
    ...process.argv.slice(2),
  ];
  const tests = spawn(process.execPath, args, { cwd: root, stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => tests.kill(signal));
  tests.on("exit", (code) => {
    process.exitCode = code ?? 1;
  });
}
