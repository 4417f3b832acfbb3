// `headgate diff` as a person runs it: it foretells exactly what applying changes, and changes nothing itself.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { createAuthority } from "../harness/certificates.js";
import { headgate } from "../harness/command.js";
import { runHeadgate } from "../harness/headgate.js";
import { serviceEntry, subsets, virtualService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { idOf, type Served, startServed, writeFiles } from "./support/served.js";

const scope = testScope();
const A = serviceEntry("a", { v1: { port: 1001 }, v2: { port: 1002 } });
const SUBSETS = subsets("a", ["v1", "v2"]);
const split = (v1: number) =>
  virtualService(
    "a",
    `  - route: [{destination: {host: a, subset: v1}, weight: ${v1}}, {destination: {host: a, subset: v2}, weight: ${100 - v1}}]`,
  );
const ONLY_OWN = `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: closed}
spec: {egress: [{hosts: ["./*"]}]}
`;
const FILES = { "a.yaml": A, "subsets.yaml": SUBSETS, "split.yaml": split(75), "closed.yaml": ONLY_OWN };
const [APP, OTHER, CLOSED] = [idOf("app"), idOf("other"), idOf("app", "closed")];
const EXTENSIONS = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
let served: Served;

interface Told {
  readonly violations: readonly { readonly code: string }[];
  readonly proxies: number;
  readonly changes: readonly {
    readonly type: string;
    readonly name: string;
    readonly change: string;
    readonly proxies: readonly string[];
    readonly before?: unknown;
    readonly after?: unknown;
  }[];
}

beforeAll(async () => {
  served = await startServed(scope, FILES);
  for (const id of [APP, OTHER, CLOSED]) served.connect(id);
  await eventually("all are connected", async () => {
    const { proxies } = (await (await fetch(`http://${served.admin}/translation`)).json()) as { proxies: unknown[] };
    return proxies.length === 3;
  });
});

/** The files that are served, but for these. */
async function directoryOf(files: Readonly<Record<string, string | undefined>>): Promise<string> {
  const directory = await scope.directory();
  const all: Record<string, string | undefined> = { ...FILES, ...files };
  const given = Object.entries(all).flatMap(([name, text]) => (text === undefined ? [] : [[name, text]]));
  await writeFiles(directory, Object.fromEntries(given));
  return directory;
}

const diff = (directory: string, ...more: string[]) =>
  headgate("diff", "--config", directory, "--admin", served.admin, ...more);

test("Without a difference it says so and exits with 0", async () => {
  const args = ["diff", "--config", await directoryOf({}), "--admin", served.admin];
  const run = runHeadgate(scope, args);
  const { code } = await run.exited;
  const told = "0 added, 0 modified, 0 removed; of 3 proxies, 0 would be sent something.\n";
  expect([code, run.stdout()]).toEqual([0, told]);
  expect(await headgate(...args)).toEqual({ code: 0, stdout: told, stderr: "" });
});

test("It foretells just what applying then changes, for whom, and to what", async () => {
  const files = { "split.yaml": split(20), "b.yaml": serviceEntry("b", { v1: { port: 1003 } }) };
  const next = await directoryOf(files);
  const revision = await served.revision();
  const told = await diff(next, "-o", "json");
  expect(told.code, told.stderr).toBe(1);
  const { changes } = JSON.parse(told.stdout) as Told;
  expect(await served.revision()).toBe(revision);

  const ids = [APP, OTHER, CLOSED];
  const before = await Promise.all(ids.map((id) => served.versions(id)));
  for (const [file, text] of Object.entries(files)) await served.apply(file, text);
  const after = await Promise.all(ids.map((id) => served.versions(id)));
  for (const [index, id] of ids.entries()) {
    const [was, is] = [before[index] as Map<string, string>, after[index] as Map<string, string>];
    const really = [...new Set([...was.keys(), ...is.keys()])].filter((key) => was.get(key) !== is.get(key));
    const foretold = changes.filter(({ proxies }) => proxies.includes(id)).map(({ type, name }) => `${type} ${name}`);
    expect(foretold.sort(), id).toEqual(really.sort());
  }
  expect(changes.filter(({ proxies }) => proxies.includes(CLOSED))).toEqual([]);
  expect(changes.find(({ type }) => type === "VirtualHost")?.proxies).toEqual([APP, OTHER]);
  for (const { type, name, after: foretold } of changes) {
    const query = new URLSearchParams({ proxy: APP, type, name });
    const page = (await (await fetch(`http://${served.admin}/config?${query}`)).json()) as {
      resources: { resource: unknown }[];
    };
    expect(page.resources[0]?.resource, name).toEqual(foretold);
  }
  expect((await diff(next)).code).toBe(0);
  await served.apply("split.yaml", split(75));
  await served.apply("b.yaml", undefined);
});

test("For people it is a unified diff of each resource, told once for all whom it concerns", async () => {
  const next = await directoryOf({ "a.yaml": A.replace("http: 1002", "http: 1009"), "subsets.yaml": undefined });
  const { code, stdout } = await diff(next);
  expect(code).toBe(1);
  expect(stdout).toContain(
    "~ ClusterLoadAssignment outbound|9080||a.default.svc.cluster.local\n  for app.default, other.default\n",
  );
  expect(stdout).toMatch(/^ {4}@@ -\d+,\d+ \+\d+,\d+ @@$/m);
  expect(stdout).toMatch(/^ {4}- +portValue: 1002$/m);
  expect(stdout).toMatch(/^ {4}\+ +portValue: 1009$/m);
  expect(stdout).toContain("- Cluster outbound|9080|v1|a.default.svc.cluster.local\n");
  expect(stdout).toMatch(/^\S+split\.yaml:\d+:\d+: \w+ \[unknown-subset\] VirtualService default\/a/m);
  expect(stdout).toMatch(/\n0 added, \d+ modified, 4 removed; of 3 proxies, 2 would be sent something\.\n$/);
});

test("One proxy can be looked at alone, and long differences are cut unless all is asked for", async () => {
  const endpoints = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`v${n}`, { port: 3000 + n }]));
  const next = await directoryOf({ "many.yaml": serviceEntry("many", endpoints) });
  const [cut, full, closed] = await Promise.all([
    diff(next, "--proxy", "app.default"),
    diff(next, "--proxy", APP, "--full"),
    diff(next, "--proxy", "app.closed"),
  ]);
  expect(cut.stdout).toContain("  for app.default\n");
  expect(cut.stdout).toMatch(/and \d+ more lines \(see --full\)/);
  expect(cut.stdout).not.toContain("portValue: 3059");
  expect(full.stdout).toContain("portValue: 3059");
  expect([cut.code, full.code, closed.code]).toEqual([1, 1, 0]);
  expect(closed.stdout).toContain("of 1 proxies, 0 would be sent");
  const unknown = await diff(next, "--proxy", "nobody");
  expect([unknown.code, unknown.stderr]).toEqual([64, expect.stringContaining('"nobody" is not connected; there are')]);
});

test("Violations of the new state are told, and an object with errors is not told to be removed for good", async () => {
  const broken = split(75).replace("weight: 75", "weight: many");
  const { code, stdout, stderr } = await diff(await directoryOf({ "split.yaml": broken }), "-o", "yaml");
  const told = parse(stdout) as Told;
  expect(told.violations.map((violation) => violation.code)).toContain("wrong-type");
  expect(stderr).toContain("VirtualService/default/a has errors: if the control plane has a good version of it");
  expect(code).toBe(1);
});

test("Against another directory, no control plane is needed, and the last good version of a faulty object stays", async () => {
  const [old, next] = await Promise.all([directoryOf({}), directoryOf({ "split.yaml": split(50) })]);
  const broken = await directoryOf({ "split.yaml": split(75).replace("weight: 75", "weight: many") });
  const offline = (to: string, ...more: string[]) =>
    headgate("diff", "--config", to, "--against", old, "-o", "json", ...more);
  const [changed, kept] = await Promise.all([offline(next, "--node", APP), offline(broken, "--node", APP)]);
  expect(changed.code, changed.stderr).toBe(1);
  expect((JSON.parse(changed.stdout) as Told).changes).toMatchObject([
    { type: "VirtualHost", name: "9080/a.default.svc.cluster.local:9080", change: "modified", proxies: [APP] },
  ]);
  expect([kept.code, (JSON.parse(kept.stdout) as Told).changes]).toEqual([0, []]);
  expect((JSON.parse(kept.stdout) as Told).violations).not.toEqual([]);
});

test("A bootstrap serves as the description of a proxy", async () => {
  const [old, next] = await Promise.all([directoryOf({}), directoryOf({ "split.yaml": split(50) })]);
  const args = ["--name", "app", "--ip", "10.0.0.1", "--namespace", "shop", "--low-ports", "no"];
  const bootstrap = await headgate("proxy", ...args, "--print-bootstrap");
  const nodes = await scope.directory();
  await writeFiles(nodes, { "proxy.json": bootstrap.stdout });
  const told = await headgate(
    ...["diff", "--config", next, "--against", old, "--nodes", join(nodes, "proxy.json"), "-o", "json"],
  );
  expect(told.code, told.stderr).toBe(1);
  expect((JSON.parse(told.stdout) as Told).changes[0]?.proxies).toEqual([idOf("app", "shop")]);
});

test("Of extensions it tells what objects say, not the code, and nothing of one whose module is not there", async () => {
  const extension = (kind: string, name: string, spec: string) =>
    `apiVersion: extensions.istio.io/v1alpha1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
  const module = `"file://${process.cwd()}/build/traffic.wasm"`;
  const plugin = (greeting: string) =>
    extension("WasmPlugin", "hello", `{url: ${module}, phase: AUTHN, pluginConfig: {greeting: ${greeting}}}`);
  const script = (code: string) => extension("TrafficExtension", "script", `{lua: {inlineCode: "${code}"}}`);
  const missing = extension("WasmPlugin", "missing", `{url: "file:///nowhere.wasm", phase: STATS}`);
  const files = { "plugin.yaml": plugin("good day"), "script.yaml": script("-- one"), "missing.yaml": missing };
  for (const [name, text] of Object.entries(files)) await served.apply(name, text);
  await eventually("the plugin's module is there", async () => {
    const config = await fetch(
      `http://${served.admin}/config?${new URLSearchParams({ proxy: APP, type: EXTENSIONS })}`,
    );
    return (await config.text()).includes("good day");
  });
  const same = await diff(await directoryOf(files));
  expect([same.code, same.stdout]).toEqual([
    0,
    "0 added, 0 modified, 0 removed; of 3 proxies, 0 would be sent something.\n",
  ]);

  const changed = { ...files, "plugin.yaml": plugin("good night"), "script.yaml": script("-- two") };
  const { code, stdout } = await diff(await directoryOf(changed), "-o", "json");
  const { changes } = JSON.parse(stdout) as Told;
  expect(code).toBe(1);
  expect(changes.map(({ name, change }) => `${name} ${change}`)).toEqual([
    "extensions.istio.io/trafficextension/default.script modified",
    "extensions.istio.io/wasmplugin/default.hello modified",
  ]);
  expect(JSON.stringify(changes[1]?.before)).toContain("good day");
  expect(JSON.stringify(changes[1]?.after)).toContain("good night");
  expect(stdout).not.toContain("inlineBytes");
  for (const name of Object.keys(files)) await served.apply(name, undefined);
});

test("A rotated secret is told by its certificate, and neither key is shown", async () => {
  const authority = await createAuthority("test");
  const [first, second] = await Promise.all([
    authority.issue(["one.example.org"]),
    authority.issue(["two.example.org"]),
  ]);
  const policies = ({ certificate, privateKey }: typeof first) => `apiVersion: v1
kind: Secret
metadata: {name: site}
type: kubernetes.io/tls
stringData:
  tls.crt: |
${certificate.replace(/^/gm, "    ")}
  tls.key: |
${privateKey.replace(/^/gm, "    ")}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: site}
spec:
  selector: {}
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: site}}
`;
  const old = await directoryOf({ "site.yaml": policies(first) });
  const next = await directoryOf({ "site.yaml": policies(second) });
  const node = "router~10.0.0.2~gw.default~default.svc.cluster.local";
  for (const output of ["text", "json"]) {
    const told = await headgate(
      ...["diff", "--config", next, "--against", old, "--node", node, "-o", output, "--full"],
    );
    expect(told.code, told.stderr).toBe(1);
    expect(told.stdout).toContain("CN=one.example.org");
    expect(told.stdout).toContain("CN=two.example.org");
    for (const { privateKey } of [first, second]) {
      for (const line of privateKey.split("\n").filter((text) => text.length > 20 && !text.startsWith("-"))) {
        expect(told.stdout + told.stderr).not.toContain(line);
      }
    }
  }
});

test("Mistakes are told with what to do", async () => {
  const good = await directoryOf({});
  const cases = [
    [["--config", "/nowhere", "--admin", served.admin], 64, "/nowhere is no directory"],
    [["--config", good, "--node", APP], 64, "--node and --nodes need --against"],
    [["--config", good, "--against", good, "--node", "x"], 64, "--node: node id must have the form"],
    [["--config", good, "--against", good, "--nodes", "/nowhere.yaml"], 64, "/nowhere.yaml cannot be read (ENOENT)"],
    [["--config", good, "--admin", "127.0.0.1:1"], 69, "no control plane answers at 127.0.0.1:1"],
    [["--admin", served.admin], 64, "--config"],
  ] as const;
  for (const [args, code, words] of cases) {
    const told = await headgate("diff", ...args);
    expect([told.code, told.stderr], words).toEqual([code, expect.stringContaining(words)]);
  }
  expect(await readFile(join(good, "split.yaml"), "utf8")).toBe(split(75));
});
