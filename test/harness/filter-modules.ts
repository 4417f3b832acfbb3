// Modules for tests of the registry and of swaps: the traffic filter with a flaw, or the same filter in other bytes.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { withCustomSection } from "../../controlplane/registry/wasm-sections.js";

/** The built traffic filter. */
export const trafficModule = (): Buffer => readFileSync(join(process.cwd(), "build", "traffic.wasm"));

/** The traffic filter in other bytes, so that Envoy starts a new VM for it. */
export function sameFilter(label: string): Buffer {
  return withCustomSection(trafficModule(), "headgate.test", Buffer.from(label));
}

/** The trial's thread, compiled. */
export const TRIAL_THREAD = new URL("../../dist/controlplane/registry/trial-thread.js", import.meta.url);

/** What a flawed filter does with its requests from the given one on; counted by worker. */
const FLAWS = {
  "traps on every tenth request": "if (++requests % 10 == 0) unreachable();",
  "exhausts memory": "if (++requests > 10) { while (memory.grow(1024) >= 0) {} unreachable(); }",
  "never returns": "if (++requests > 10) while (true) requests++;",
  "answers 500 to every third": "if (++requests % 3 == 0) { fail(); return 1; }",
} as const;

export type Flaw = keyof typeof FLAWS;

/** The traffic filter with a flaw that only shows once it has served requests. */
export function flawedFilter(flaw: Flaw): Promise<Buffer> {
  return compileFilter(`
let requests: u32 = 0;
function fail(): void { host.sendLocalResponse(500, 0, 0, 0, 0, -1); }
export function proxy_on_request_headers(context: u32, count: u32, end: u32): u32 {
  ${FLAWS[flaw]}
  return traffic.proxy_on_request_headers(context, count, end);
}`);
}

/** Compiles AssemblyScript that has the traffic filter as `traffic`, and exports its other callbacks beside its own. */
export async function compileFilter(source: string): Promise<Buffer> {
  const text = `import * as traffic from "FILTERS/traffic";
import * as host from "FILTERS/abi/host";
export { proxy_abi_version_0_2_1, proxy_on_memory_allocate, proxy_on_vm_start, proxy_on_configure, proxy_on_tick }
  from "FILTERS/traffic";
${source}
`.replaceAll("FILTERS/", "../../../filters/");
  const hash = createHash("sha256").update(text).update(trafficModule()).digest("hex").slice(0, 16);
  const folder = join(process.cwd(), "build", "test-modules");
  const built = join(folder, `${hash}.wasm`);
  if (existsSync(built)) return readFile(built);
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, "module-"));
  await writeFile(join(work, "entry.ts"), text);
  const asc = join(process.cwd(), "node_modules", "assemblyscript", "bin", "asc.js");
  const options = ["--runtime", "stub", "--optimizeLevel", "3", "--noAssert", "--use", "abort="];
  const output = join(work, "entry.wasm");
  await promisify(execFile)(process.execPath, [asc, join(work, "entry.ts"), "-o", output, ...options]);
  await rename(output, built);
  return readFile(built);
}
