// Adds what was built to the registry, applies plugin.yaml, and has the new version rolled out.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

const read = (file) => JSON.parse(readFileSync(file, "utf8"));
const { name, version } = read("package.json");
const { command, filters, policies, steps, hold } = read("headgate.json");
const hash = createHash("sha256").update(readFileSync("build/filter.wasm")).digest("hex");
const reference = `${name}@${version}-${hash.slice(0, 8)}`;

headgate("push", name, "build/filter.wasm", "--version", reference.split("@")[1]);
headgate("use", reference, "--step", steps, "--hold", hold);
// The control plane looks for rollouts five times a second; it should know of this one before it is asked for.
await setTimeout(1_000);
copyFileSync("plugin.yaml", join(policies, `${name}-plugin.yaml`));
console.log(`${reference} goes live`);

/** A version that is there already has these very bytes. */
function headgate(...words) {
  const args = [command, "filter", ...words, "--filters", filters];
  const { status, stderr } = spawnSync(process.execPath, args, {
    stdio: ["ignore", "inherit", "pipe"],
    encoding: "utf8",
  });
  if (status === 0 || stderr.includes("filter-version-exists")) return;
  process.stderr.write(stderr);
  process.exit(status ?? 1);
}
