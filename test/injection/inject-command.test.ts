// `headgate inject`: workloads in files get what the webhook gives pods, and the rest stays as it was written.
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { editYaml } from "../../controlplane/injection/edited-yaml.js";
import { inject } from "../../controlplane/injection/inject.js";
import type { Pod } from "../../controlplane/injection/sidecar.js";
import { podTemplatesIn } from "../../controlplane/injection/workloads.js";
import { createAuthority } from "../harness/certificates.js";
import { headgate } from "../harness/command.js";
import { testScope } from "../harness/scope.js";

const SETTINGS = { image: "headgate-proxy:1", ads: "headgate.headgate-system.svc:15012", audience: "headgate" };

const POD = `metadata:
  labels: {app: web}   # selected
spec:
  containers:
    - name: web
      image: "web:1"
`;
const indented = (text: string, spaces: number) => text.replace(/^(?=.)/gm, " ".repeat(spaces));
const workload = (apiVersion: string, kind: string, spec: string) =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: web}\nspec:\n${spec}`;
const template = (spaces: number) => `${" ".repeat(spaces)}template:\n${indented(POD, spaces + 2)}`;

const WORKLOADS: readonly (readonly [string, string])[] = [
  ["Pod", `apiVersion: v1\nkind: Pod\n${POD.replace("metadata:", "metadata:\n  name: web")}`],
  ["ReplicationController", workload("v1", "ReplicationController", template(2))],
  ...["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"].map((kind): readonly [string, string] => [
    kind,
    workload("apps/v1", kind, template(2)),
  ]),
  ["Job", workload("batch/v1", "Job", template(2))],
  ["CronJob", workload("batch/v1", "CronJob", `  schedule: "@daily"\n  jobTemplate:\n    spec:\n${template(6)}`)],
];

interface Container {
  readonly name: string;
}
const initNames = (pod: unknown) =>
  (pod as { spec: { initContainers?: readonly Container[] } }).spec.initContainers?.map(({ name }) => name);
const edit = (text: string) => {
  const documents = parseAllDocuments(text).map((document) => document.toJS());
  const edits = documents
    .filter((value) => value !== null)
    .map((value) =>
      podTemplatesIn(value).templates.map(({ path, pod }) => ({ path, patch: inject(pod, SETTINGS).patch })),
    );
  return editYaml(text, new Map(edits.entries()));
};

describe("workloads of a text", () => {
  test.each(WORKLOADS)("%s: the pods get what the webhook would give them", (_, text) => {
    const [before, after] = [podTemplatesIn(parse(text)), podTemplatesIn(parse(edit(text)))];
    const pod = before.templates[0]?.pod as Pod;
    const { patch } = inject(pod, SETTINGS);
    expect(after.templates.map(({ path }) => path)).toEqual(before.templates.map(({ path }) => path));
    const { initContainers, volumes } = after.templates[0]?.pod.spec ?? {};
    expect(initContainers).toEqual(patch.find(({ path }) => path === "/spec/initContainers")?.value);
    expect(volumes).toEqual(patch.find(({ path }) => path === "/spec/volumes")?.value);
  });

  test("are found in a List, wherever they stand in it", () => {
    const items = WORKLOADS.slice(0, 3).map(([, text]) => parse(text));
    const list = { apiVersion: "v1", kind: "List", items: [{ kind: "Service", apiVersion: "v1" }, ...items] };
    // What was JSON is JSON: kubectl tells the two apart by how they begin.
    const after = podTemplatesIn(JSON.parse(edit(JSON.stringify(list, null, 2))));
    expect(after.templates.map(({ path }) => path[1])).toEqual([1, 2, 3]);
    for (const { pod } of after.templates) expect(initNames(pod)).toEqual(["headgate-capture", "headgate-proxy"]);
  });

  test("are those of Kubernetes' own groups alone", () => {
    expect(podTemplatesIn(parse(workload("example.org/v1", "Deployment", template(2)))).templates).toEqual([]);
  });

  test("come before nothing of theirs: what they have already stays, behind what is added", () => {
    const own = `${POD}  initContainers:\n    - {name: own, image: own}\n  volumes:\n    - {name: own, emptyDir: {}}\n`;
    const pod = parse(edit(`apiVersion: v1\nkind: Pod\n${own}`));
    expect(initNames(pod)).toEqual(["headgate-capture", "headgate-proxy", "own"]);
    expect(pod.spec.volumes.at(-1)).toEqual({ name: "own", emptyDir: {} });
  });

  test("are the same when it is done twice", () => {
    const once = edit(WORKLOADS[2]?.[1] as string);
    expect(edit(once)).toBe(once);
  });
});

describe("what stands beside them", () => {
  const OTHERS = "# Ours.\napiVersion: v1\nkind:   ConfigMap\nmetadata: {name: a}\ndata: {mode: 0644,\n  b: 'c'}\n";

  test("stays letter by letter: other documents, empty ones, directives and comments between them", () => {
    const between = "---\n---\n# Theirs.\n";
    const text = `${OTHERS}---\n${WORKLOADS[2]?.[1]}${between}---\n${OTHERS}...\n%YAML 1.2\n---\n${OTHERS}`;
    const edited = edit(text);
    expect(edited.startsWith(OTHERS)).toBe(true);
    expect(edited.endsWith(`${between}---\n${OTHERS}...\n%YAML 1.2\n---\n${OTHERS}`)).toBe(true);
    expect(edited).toContain("headgate-proxy");
  });

  test("stays, in an edited document, in its words: numbers, quotes and comments", () => {
    const volume = "  volumes:\n    - name: own\n      configMap: {name: a, defaultMode: 0644} # octal\n";
    const edited = edit(`apiVersion: v1\nkind: Pod\n${POD}      ports: [{containerPort: 0x50}]\n${volume}`);
    for (const kept of ["defaultMode: 0644", "# octal", '"web:1"', "containerPort: 0x50", "# selected"]) {
      expect(edited).toContain(kept);
    }
  });

  test("is written out where it is shared, so that no other gets the sidecar of one", () => {
    const text = `apiVersion: v1\nkind: List\nitems:\n  - apiVersion: v1\n    kind: Pod\n    metadata: &meta {name: a, annotations: {own: a}}\n    spec: {containers: [{name: a}]}\n  - {apiVersion: v1, kind: ConfigMap, metadata: *meta}\n`;
    const templates = podTemplatesIn(parse(text)).templates;
    const patch = inject(templates[0]?.pod as Pod, { ...SETTINGS, adsCa: "PEM" }).patch;
    const edited = parse(editYaml(text, new Map([[0, [{ path: templates[0]?.path ?? [], patch }]]])));
    expect(edited.items[0].metadata.annotations).toEqual({ own: "a", "headgate.dev/ads-ca": "PEM" });
    expect(edited.items[1].metadata).toEqual({ name: "a", annotations: { own: "a" } });
  });
});

describe("headgate inject", () => {
  const scope = testScope();
  const ARGS = ["--image", SETTINGS.image];

  async function run(text: string, ...more: readonly string[]) {
    const file = join(await scope.directory(), "a.yaml");
    await writeFile(file, text);
    const { stderr, ...told } = await headgate("inject", file, ...ARGS, ...more);
    return { ...told, stderr: stderr.replaceAll(file, "a.yaml") };
  }

  test("prints files and standard input as one stream, with the authority in the pods", async () => {
    const folder = await scope.directory();
    const { certificate } = await createAuthority("test");
    await writeFile(join(folder, "ca.pem"), certificate);
    await writeFile(join(folder, "a.yaml"), WORKLOADS[2]?.[1] as string);
    const args = [
      "bin/headgate.mjs",
      "inject",
      join(folder, "a.yaml"),
      "-",
      ...ARGS,
      "--ads-ca",
      join(folder, "ca.pem"),
    ];
    const running = promisify(execFile)(process.execPath, args);
    running.child.stdin?.end(WORKLOADS[0]?.[1]);
    const documents = parseAllDocuments((await running).stdout).map((document) => document.toJS());
    expect(documents.map(({ kind }) => kind)).toEqual(["Deployment", "Pod"]);
    expect(documents[1].metadata.annotations["headgate.dev/ads-ca"]).toBe(certificate);
    expect(initNames(documents[0].spec.template)).toEqual(["headgate-capture", "headgate-proxy"]);
  });

  test.each([
    ["no YAML", "kind: [", "a.yaml:1:8: error [yaml-syntax]"],
    [
      "an annotation that cannot be followed",
      WORKLOADS[0]?.[1].replace("labels:", "annotations: {headgate.dev/capture: no}\n  labels:"),
      "a.yaml:5:17: error [invalid-value] metadata.annotations",
    ],
    [
      "a template that is none",
      workload("apps/v1", "Deployment", "  template: a\n"),
      "a.yaml:5:3: error [wrong-type] spec.template",
    ],
    [
      "containers that are no list",
      workload("apps/v1", "Deployment", "  template: {spec: {containers: {}}}\n"),
      "error [wrong-type] spec.template.spec.containers",
    ],
  ])("prints nothing but the place of a fault: %s", async (_, text, place) => {
    const { code, stdout, stderr } = await run(text as string);
    expect({ code, stdout }).toEqual({ code: 65, stdout: "" });
    expect(stderr).toContain(place);
  });

  test("writes out what merge keys bring in, a pod's own words first", async () => {
    const merged = "{containers: [{name: base}], volumes: [{name: a, emptyDir: {}}]}";
    const merge = `<<: [{hostname: first}, {hostname: second}, ${merged}]`;
    const { stdout } = await run(`apiVersion: v1\nkind: Pod\nspec:\n  ${merge}\n  containers: [{name: web}]\n`);
    const { spec } = parse(stdout);
    expect(spec).toMatchObject({ hostname: "first", containers: [{ name: "web" }] });
    expect(spec.volumes.at(-1)).toEqual({ name: "a", emptyDir: {} });
    expect(initNames({ spec })).toEqual(["headgate-capture", "headgate-proxy"]);
    expect(stdout).not.toContain("<<");
  });

  test("says of a pod that stays as it is why", async () => {
    const text = `apiVersion: v1\nkind: Pod\n${POD}  hostNetwork: true\n`;
    const { code, stdout, stderr } = await run(text);
    expect({ code, stdout }).toEqual({ code: 0, stdout: text });
    expect(stderr).toContain("a.yaml:9:3: warning [ignored-field] spec.hostNetwork");
  });

  test("takes no address that a pod has itself, and no file that is not there", async () => {
    expect(await run("", "--ads", "127.0.0.1:15010")).toMatchObject({ code: 64 });
    const missing = await headgate("inject", "missing.yaml", ...ARGS);
    expect(missing.code).toBe(64);
    expect(missing.stderr).toContain("missing.yaml cannot be read (ENOENT)");
  });
});
