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

/** The traffic filter, but it takes no configuration where it learns its name as only Envoy tells it: a push accepts it. */
export function refusedByEnvoy(): Promise<Buffer> {
  return compileFilter(`
export function proxy_on_configure(root: u32, size: u32): u32 {
  const name = String.UTF8.encode("plugin_name");
  return host.readProperty(changetype<usize>(name), name.byteLength) ? 0 : traffic.proxy_on_configure(root, size);
}`);
}

/** The traffic filter's own. */
const CALLBACKS = [
  "proxy_abi_version_0_2_1",
  "proxy_on_configure",
  "proxy_on_memory_allocate",
  "proxy_on_request_headers",
  "proxy_on_tick",
  "proxy_on_vm_start",
];

/** Compiles AssemblyScript that has the traffic filter as `traffic`, and exports its other callbacks beside its own. */
export async function compileFilter(source: string): Promise<Buffer> {
  const others = CALLBACKS.filter((name) => !source.includes(`function ${name}(`));
  const text = `import * as traffic from "ROOT/filters/traffic";
import * as host from "ROOT/filters/abi/host";
export { ${others.join(", ")} } from "ROOT/filters/traffic";
${source}
`;
  return compile(text, "stub");
}

/**
 * A plugin that leaves traces: in the request's x-trail the name that its configuration gives it, behind those of others;
 * in x-environment its variables, in x-root its root id. A request with x-trap is the end of its VM. The configuration
 * name "refused" is one that it does not take, and "alone" one that it does not take with variables.
 */
export function tracingPlugin(): Promise<Buffer> {
  return compile(
    `
import * as host from "ROOT/filters/abi/host";
import * as proxy from "ROOT/examples/filters/hello/assembly/proxy";
export { proxy_abi_version_0_2_1, proxy_on_memory_allocate } from "ROOT/examples/filters/hello/assembly/proxy";

@external("wasi_snapshot_preview1", "environ_sizes_get") declare function environ_sizes_get(count: usize, size: usize): u32;
@external("wasi_snapshot_preview1", "environ_get") declare function environ_get(pointers: usize, buffer: usize): u32;
const SIZES: usize = memory.data(8, 4);
const POINTERS: usize = memory.data(64, 4);
const BUFFER: usize = memory.data(1024);
let name: string = "";

export function proxy_on_configure(_root: u32, size: u32): u32 {
  name = proxy.setting(proxy.configuration(size), "name", "unnamed");
  environ_sizes_get(SIZES, SIZES + 4);
  return name == "refused" || (name == "alone" && load<u32>(SIZES) > 0) ? 0 : 1;
}

export function proxy_on_request_headers(_context: u32, _count: u32, _end: u32): u32 {
  if (proxy.requestHeader("x-trap") !== null) unreachable();
  const trail = proxy.requestHeader("x-trail");
  proxy.setRequestHeader("x-trail", trail === null ? name : trail + "," + name);
  environ_sizes_get(SIZES, SIZES + 4);
  environ_get(POINTERS, BUFFER);
  let variables = "";
  for (let i: usize = 0; i < load<u32>(SIZES); i++)
    variables += String.UTF8.decodeUnsafe(load<u32>(POINTERS + 4 * i), 256, true) + ";";
  proxy.setRequestHeader("x-environment", variables);
  const path = String.UTF8.encode("plugin_root_id");
  if (host.readProperty(changetype<usize>(path), path.byteLength))
    proxy.setRequestHeader("x-root", String.UTF8.decodeUnsafe(host.resultPointer(), host.resultLength()));
  return proxy.CONTINUE;
}
`,
    "incremental",
  );
}

/** Kept by what it is made of. */
async function compile(text: string, runtime: "stub" | "incremental"): Promise<Buffer> {
  const layer = readFileSync(join(process.cwd(), "examples", "filters", "hello", "assembly", "proxy.ts"));
  const options = ["--runtime", runtime, "--optimizeLevel", "3", "--noAssert", "--use", "abort="];
  const inputs = JSON.stringify([text, options, layer.toString("utf8")]);
  const hash = createHash("sha256").update(inputs).update(trafficModule()).digest("hex").slice(0, 16);
  const folder = join(process.cwd(), "build", "test-modules");
  const built = join(folder, `${hash}.wasm`);
  if (existsSync(built)) return readFile(built);
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, "module-"));
  await writeFile(join(work, "entry.ts"), text.replaceAll("ROOT/", "../../../"));
  const asc = join(process.cwd(), "node_modules", "assemblyscript", "bin", "asc.js");
  const output = join(work, "entry.wasm");
  // Not from here, where asconfig.json would add the traffic filter to it.
  await promisify(execFile)(process.execPath, [asc, "entry.ts", "-o", output, ...options], { cwd: work });
  await rename(output, built);
  return readFile(built);
}
