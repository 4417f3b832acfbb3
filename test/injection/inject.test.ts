// What a pod is given, and when it is left alone.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inject, type PatchOperation } from "../../controlplane/injection/inject.js";
import { adsFault, type Pod } from "../../controlplane/injection/sidecar.js";
import { createAuthority } from "../harness/certificates.js";
import { headgate } from "../harness/command.js";
import { testScope } from "../harness/scope.js";

const SETTINGS = { image: "headgate", ads: "headgate.headgate-system.svc:15012", audience: "headgate" };
const POD: Pod = { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web" }] } };
const annotated = (annotations: Record<string, string>): Pod => ({
  ...POD,
  metadata: { ...POD.metadata, annotations },
});
const paths = (patch: readonly PatchOperation[]) => patch.map(({ path }) => path);

interface Container {
  readonly name: string;
  readonly args: readonly string[];
}
const containersOf = (pod: Pod, settings: Parameters<typeof inject>[1] = SETTINGS) =>
  inject(pod, settings).patch.find(({ path }) => path === "/spec/initContainers")?.value as readonly Container[];

describe("a pod", () => {
  test("gets what captures its traffic and then its sidecar, before containers of its own", () => {
    expect(containersOf(POD).map(({ name }) => name)).toEqual(["headgate-capture", "headgate-proxy"]);
    const { patch } = inject({ spec: { initContainers: [{ name: "own" }], volumes: [{ name: "own" }] } }, SETTINGS);
    expect(paths(patch)).toEqual(["/spec/initContainers/0", "/spec/initContainers/1", "/spec/volumes/0"]);
  });

  test("gets no capture where an annotation says none, and its arguments where one has some", () => {
    const [proxy] = containersOf(annotated({ "headgate.dev/capture": "none" }));
    expect(proxy?.name).toBe("headgate-proxy");
    expect(proxy?.args.join(" ")).toContain("--interception-mode NONE");
    const [capture] = containersOf(annotated({ "headgate.dev/capture-args": "--exclude-outbound-ports 5432" }));
    expect(capture?.args).toEqual(["--proxy-uid", "1337", "--exclude-outbound-ports", "5432"]);
  });

  test("is refused for an annotation that says neither, and warned of one without effect", () => {
    expect(inject(annotated({ "headgate.dev/capture": "no" }), SETTINGS).error?.message).toContain(
      "write redirect or none",
    );
    const both = annotated({ "headgate.dev/capture": "none", "headgate.dev/capture-args": "--no-ipv6" });
    expect(inject(both, SETTINGS).warnings).toHaveLength(1);
  });

  test("is left alone when it has its sidecar, wants none, or is on its node's network", () => {
    for (const list of ["initContainers", "containers"]) {
      expect(inject({ spec: { [list]: [{ name: "headgate-proxy" }] } }, SETTINGS).patch).toEqual([]);
    }
    expect(inject({ metadata: { labels: { "headgate.dev/inject": "false" } } }, SETTINGS).patch).toEqual([]);
    const { patch, warnings } = inject({ spec: { hostNetwork: true } }, SETTINGS);
    expect(patch).toEqual([]);
    expect(warnings[0]?.message).toContain("its node's network");
  });

  test("shows a token only where the control plane's certificate can be held against an authority", () => {
    const args = (settings: Parameters<typeof inject>[1]) => containersOf(POD, settings).at(-1)?.args.join(" ");
    expect(args(SETTINGS)).not.toContain("--ads-token-file");
    expect(args({ ...SETTINGS, adsCa: "PEM" })).toContain("--ads-token-file /var/run/headgate/token");
    const { patch } = inject(annotated({ own: "1" }), { ...SETTINGS, adsCa: "PEM" });
    expect(patch.at(-1)).toEqual({ op: "add", path: "/metadata/annotations/headgate.dev~1ads-ca", value: "PEM" });
  });
});

test("An address that a pod has itself is no control plane's", () => {
  expect(adsFault("headgate.headgate-system.svc:15012")).toBeUndefined();
  for (const ads of ["127.0.0.1:15010", "localhost:15010", "[::1]:15010"]) expect(adsFault(ads)).toContain(ads);
});

describe("a sidecar's arguments", () => {
  const scope = testScope();

  test("are what `headgate proxy` takes, once the kubelet has put the pod's name and address in", async () => {
    const folder = await scope.directory();
    await writeFile(join(folder, "ads-ca.pem"), (await createAuthority("test")).certificate);
    await writeFile(join(folder, "token"), "token");
    const known: Readonly<Record<string, string>> = {
      POD_NAME: "web-1",
      POD_NAMESPACE: "shop",
      POD_IP: "10.0.0.7",
      SERVICE_ACCOUNT: "web",
    };
    const args = (containersOf(POD, { ...SETTINGS, adsCa: "PEM" }).at(-1)?.args ?? []).map((arg) =>
      arg.replace(/\$\((\w+)\)/g, (_, name) => known[name] ?? "").replace("/var/run/headgate", folder),
    );
    const { code, stdout, stderr } = await headgate("proxy", ...args, "--print-bootstrap");
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout).node).toMatchObject({
      id: "sidecar~10.0.0.7~web-1.shop~shop.svc.cluster.local",
      metadata: { LABELS: { app: "web" }, SERVICE_ACCOUNT: "web", INTERCEPTION_MODE: "REDIRECT" },
    });
  });
});
