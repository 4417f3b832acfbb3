// Workloads that register themselves: what lies in the directory while their proxies come and go.
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type Proxy, parseNode } from "../../controlplane/proxy/proxy.js";
import { createDirectoryEntries } from "../../controlplane/registration/directory-entries.js";
import type { RegisteredEntry } from "../../controlplane/registration/registered-entry.js";
import { Registrations, type RegistrationsOptions } from "../../controlplane/registration/registrations.js";
import { decodeObject } from "../../controlplane/resources/decode.js";
import type { WorkloadGroup } from "../../controlplane/resources/workload-group.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

function group(template: object = {}, labels: object = {}): WorkloadGroup {
  const value = {
    apiVersion: "networking.istio.io/v1",
    kind: "WorkloadGroup",
    metadata: { name: "vms", namespace: "shop" },
    spec: { metadata: { labels, annotations: { note: "x" } }, template },
  };
  const { resource } = decodeObject({ value, locate: () => undefined }, "default");
  return resource as WorkloadGroup;
}

function proxy(address: string, metadata: object = {}): Proxy {
  const all = { AUTO_REGISTER_GROUP: "vms", SERVICE_ACCOUNT: "cart", ...metadata };
  const node = { id: `sidecar~${address}~vm.shop~shop.svc.cluster.local`, metadata: all };
  const parsed = parseNode(node, "delta");
  if ("error" in parsed) throw new Error(parsed.error);
  return parsed.proxy;
}

async function started({ directory, ...options }: Partial<RegistrationsOptions> & { readonly directory: string }) {
  const entries = createDirectoryEntries(directory);
  const registrations = scope.use(new Registrations({ entries, group: () => group(), graceMs: 20, ...options }));
  await registrations.start();
  return registrations;
}

/** Those that are in place. */
async function entriesOf(directory: string) {
  const files = (await readdir(directory)).filter((file) => !file.startsWith("."));
  return Promise.all(files.sort().map(async (file) => parse(await readFile(join(directory, file), "utf8"))));
}

async function holds(directory: string, names: readonly string[]): Promise<void> {
  await eventually(`there are ${names.join()}`, async () => {
    return JSON.stringify((await entriesOf(directory)).map(({ metadata }) => metadata.name)) === JSON.stringify(names);
  });
}

describe("a workload that registers itself", () => {
  it("has another entry when it comes back with other labels, and none without a group", async () => {
    const directory = join(await scope.directory(), "entries");
    const registrations = await started({ directory });
    registrations.connected(proxy("10.0.0.7", { LABELS: { version: "v1" } }));
    await holds(directory, ["vms-10-0-0-7"]);
    registrations.connected(proxy("10.0.0.7", { LABELS: { version: "v2" } }));
    await eventually("the entry has the new label", async () => {
      return (await entriesOf(directory))[0]?.metadata.labels.version === "v2";
    });
    registrations.connected(proxy("10.0.0.7", { AUTO_REGISTER_GROUP: undefined }));
    await holds(directory, []);
  });

  it("has an entry of its group's template while its proxy is connected", async () => {
    const directory = join(await scope.directory(), "entries");
    const template = { ports: { http: 8080 }, locality: "r/z", weight: 3, network: "n", serviceAccount: "cart" };
    const registrations = await started({ directory, group: () => group(template, { app: "cart", version: "v1" }) });
    const vm = proxy("10.0.0.7", { LABELS: { version: "v2" } });
    registrations.connected(vm);
    await holds(directory, ["vms-10-0-0-7"]);
    expect((await entriesOf(directory))[0]).toEqual({
      apiVersion: "networking.istio.io/v1",
      kind: "WorkloadEntry",
      metadata: {
        name: "vms-10-0-0-7",
        namespace: "shop",
        labels: { app: "cart", version: "v2" },
        annotations: { note: "x", "headgate.dev/registered-by": vm.id },
      },
      spec: {
        address: "10.0.0.7",
        labels: { app: "cart", version: "v2" },
        ports: { http: 8080 },
        locality: "r/z",
        network: "n",
        weight: 3,
        serviceAccount: "cart",
      },
    });
    registrations.disconnected(vm.id);
    await holds(directory, []);
  });

  it("keeps its entry over a restart of the control plane, and loses it when it does not come back", async () => {
    const directory = await scope.directory();
    const first = await started({ directory });
    for (const address of ["10.0.0.1", "10.0.0.2"]) first.connected(proxy(address));
    await holds(directory, ["vms-10-0-0-1", "vms-10-0-0-2"]);
    await first.close();
    const second = await started({ directory, startGraceMs: 1_000 });
    second.connected(proxy("10.0.0.2"));
    await holds(directory, ["vms-10-0-0-1", "vms-10-0-0-2"]);
    await holds(directory, ["vms-10-0-0-2"]);
  });

  it("follows its group, and keeps its entry through a short absence", async () => {
    const directory = await scope.directory();
    let now = group({}, { version: "v1" });
    const registrations = await started({ directory, group: () => now, graceMs: 3_600_000 });
    const vm = proxy("fd00::1");
    registrations.connected(vm);
    await holds(directory, ["vms-fd00-1"]);
    registrations.disconnected(vm.id);
    registrations.connected(vm);
    now = group({}, { version: "v2" });
    registrations.changed(["WorkloadGroup/shop/vms"], () => true);
    await eventually("the entry has the new label", async () => {
      return (await entriesOf(directory))[0]?.spec.labels.version === "v2";
    });
  });

  it("has its entry again when somebody takes it away", async () => {
    const directory = await scope.directory();
    const registrations = await started({ directory });
    registrations.connected(proxy("10.0.0.1"));
    await holds(directory, ["vms-10-0-0-1"]);
    await rm(join(directory, "shop.vms-10-0-0-1.yaml"));
    registrations.changed(["WorkloadEntry/shop/other", "WorkloadEntry/shop/vms-10-0-0-1"], () => false);
    await holds(directory, ["vms-10-0-0-1"]);
  });

  it("has its entry again when somebody takes it away before it is known to be written", async () => {
    const directory = await scope.directory();
    const own = createDirectoryEntries(directory);
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const entries = { ...own, put: (entry: RegisteredEntry) => own.put(entry).then(() => finished) };
    const registrations = scope.use(new Registrations({ entries, group: () => group() }));
    await registrations.start();
    registrations.connected(proxy("10.0.0.1"));
    await holds(directory, ["vms-10-0-0-1"]);
    await rm(join(directory, "shop.vms-10-0-0-1.yaml"));
    registrations.changed(["WorkloadEntry/shop/vms-10-0-0-1"], () => false);
    finish();
    await holds(directory, ["vms-10-0-0-1"]);
  });

  it("is refused by a group that is not there, or is for another service account, and is told why once", async () => {
    const directory = await scope.directory();
    let now: WorkloadGroup | undefined;
    const reasons: string[] = [];
    const registrations = await started({
      directory,
      group: () => now,
      onRefused: (_proxy, reason) => reasons.push(reason),
    });
    registrations.connected(proxy("10.0.0.1"));
    registrations.changed(["WorkloadGroup/shop/vms"], () => false);
    await eventually("it is told", () => reasons.length > 0);
    now = group({ serviceAccount: "other" });
    registrations.changed(["WorkloadGroup/shop/vms"], () => true);
    await eventually("it is told again", () => reasons.length > 1);
    await registrations.close();
    expect(reasons).toEqual([
      'there is no WorkloadGroup "vms" in the namespace "shop"',
      'WorkloadGroup "vms" is for the service account "other", not "cart"',
    ]);
    expect(await readdir(directory)).toEqual([]);
  });

  it("does not stop others by a file that cannot be written", async () => {
    const directory = await scope.directory();
    const faults: unknown[] = [];
    const registrations = await started({
      directory: join(directory, "entries"),
      onFault: (error) => faults.push(error),
    });
    await rm(join(directory, "entries"), { recursive: true });
    await writeFile(join(directory, "entries"), "a file");
    registrations.connected(proxy("10.0.0.1"));
    await eventually("it is told", () => faults.length > 0);
    await rm(join(directory, "entries"));
    await registrations.start();
    registrations.connected(proxy("10.0.0.2"));
    await holds(join(directory, "entries"), ["vms-10-0-0-1", "vms-10-0-0-2"]);
  });
});
