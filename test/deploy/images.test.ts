// The images, without an engine: their Dockerfile by its linter, and their files put together and run as Kubernetes would.
import { execFile } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { chmod, copyFile, link, mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { sidecarOf } from "../../controlplane/injection/sidecar.js";
import { freePort } from "../harness/addresses.js";
import { testEnvoyBinary } from "../harness/envoy.js";
import { runHeadgate } from "../harness/headgate.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { CONFINED_ROOT, confinementObstacle, runConfined } from "./support/confined.js";
import { copyFiles, inheritedInstructions, lastOf, readStages } from "./support/dockerfile.js";
import { argumentsOf, type PodTemplate, readManifests, templatesOf } from "./support/manifests.js";
import { findDeployTool } from "./support/tools.js";

const hadolint = await findDeployTool("hadolint", { env: process.env, get: false });
const composeGo = await findDeployTool("compose-go", { env: process.env, get: false });
for (const tool of [hadolint, composeGo]) if ("error" in tool) console.warn(`Some tests are skipped. ${tool.error}`);

const stages = readStages(readFileSync("Dockerfile", "utf8"));
const compose = parse(readFileSync("docker-compose.yml", "utf8")) as {
  readonly services: { readonly demo: { readonly build: { readonly context: string; readonly target: string } } };
};
const templateIn = (file: string) =>
  templatesOf(readManifests(readFileSync(join("deploy", file), "utf8")))[0]?.[1] as PodTemplate & {
    readonly spec: { readonly securityContext: { readonly runAsUser: number } };
  };
const controlPlane = templateIn("kubernetes/control-plane.yaml");
const gateway = templateIn("gateways/ingress.yaml");

describe("the Dockerfile", () => {
  test("pins what it is made from to a patch version", () => {
    const images = [...stages.values()].map(({ base }) => base).filter((base) => !stages.has(base));
    expect(images.length).toBeGreaterThan(0);
    for (const image of images) expect(image).toMatch(/^node:20\.\d+\.\d+-bookworm(-slim)?$/);
  });

  test.skipIf("error" in hadolint)("has nothing that its linter minds", async () => {
    const { value } = hadolint as { value: string };
    expect((await promisify(execFile)(value, ["--failure-threshold", "style", "Dockerfile"])).stdout).toBe("");
  });

  test.each([
    ["control-plane", controlPlane, []],
    ["proxy", gateway, ["proxy"]],
  ])("runs the %s as the user, and by the entry, that the manifests count on", (name, template, command) => {
    const instructions = inheritedInstructions(stages, name);
    const { runAsUser } = template.spec.securityContext;
    expect(lastOf(instructions, "USER")).toBe(`${runAsUser}:${runAsUser}`);
    const entry = JSON.parse(lastOf(instructions, "ENTRYPOINT") as string);
    expect(entry).toEqual(["node", "/headgate/bin/headgate.mjs", ...command]);
    const exposed = (lastOf(instructions, "EXPOSE") as string).split(" ").map(Number);
    const ports = template.spec.containers[0].ports.map(({ containerPort }) => containerPort);
    expect(ports).toEqual(expect.arrayContaining(exposed));
  });
});

test("The image of the control plane has freed memory go back to the system, as the benchmark of its memory counts on", () => {
  const texts = inheritedInstructions(stages, "control-plane").map(({ name, text }) => `${name} ${text}`);
  const set = texts
    .find((text) => text.startsWith("ENV MALLOC_"))
    ?.replace("ENV ", "")
    .split(" ");
  const bench = readFileSync("bench/ads/control-plane.ts", "utf8");
  const counted = [...bench.matchAll(/(MALLOC_\w+): "(\d+)"/g)].map(([, name, value]) => `${name}=${value}`);
  expect(counted).toHaveLength(2);
  expect(set).toEqual(counted);
});

test("The image of the proxy has Envoy on its PATH, and iptables and ip for the capture", () => {
  const instructions = inheritedInstructions(stages, "proxy");
  const texts = instructions.map(({ name, text }) => `${name} ${text}`).join("\n");
  expect(texts).toMatch(/^COPY --from=build \S+\/envoy \/usr\/local\/bin\/envoy$/m);
  expect(texts).toMatch(/install -y --no-install-recommends iptables iproute2/);
});

const scope = testScope();
/** The image's `/`. The proxy's image has all that the control plane's has. */
let root: string;

beforeAll(async () => {
  root = await scope.directory();
  await chmod(root, 0o755);
  await copyFiles(inheritedInstructions(stages, "proxy"), root);
});

describe("an image's files", () => {
  const folder = () => join(root, "headgate");

  test("are all that serving a directory takes", async () => {
    const policies = await scope.directory();
    await writeFile(join(policies, "a.yaml"), "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n");
    const addresses = ["--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    const run = runHeadgate(scope, ["serve", "--config", policies, ...addresses], folder());
    await eventually("it serves", () => run.stdout().includes('"ads"'));
    expect(run.stderr()).toContain("1 object,");
  });

  test("are all that the arguments of the control plane's Deployment take, as far as that goes without a cluster", async () => {
    const nowhere = resolve("test/identity/support/nowhere.kubeconfig.json");
    const args = argumentsOf(controlPlane.spec.containers[0]).map((arg) =>
      arg.replace(/=0\.0\.0\.0:\d+$/, "=127.0.0.1:0"),
    );
    const run = runHeadgate(scope, [...args, "--kubeconfig", nowhere, "--admin", "127.0.0.1:0"], folder());
    await eventually("it asks for its authority", () => run.stderr().includes("waiting for the authority"));
    run.child.kill("SIGTERM");
    expect((await run.exited).code).toBe(0);
  });
  test("have what an injected pod runs, where it runs it", async () => {
    const { initContainers } = sidecarOf({}, { image: "a", ads: "a:1", audience: "a" });
    const commands = initContainers.flatMap((container) => (container as { command: readonly string[] }).command);
    const files = commands.filter((word) => word.startsWith("/"));
    expect(files).toHaveLength(2);
    for (const file of files) accessSync(join(root, file), file.endsWith(".sh") ? constants.X_OK : constants.R_OK);
    const help = await promisify(execFile)(join(folder(), "envoy", "capture.sh"), ["--help"]);
    expect(help.stdout).toContain("Usage: capture.sh");
  });

  test("are all that the agent takes to make a gateway's bootstrap", async () => {
    await mkdir(join(root, "credentials"));
    for (const name of ["ca.pem", "token"]) await writeFile(join(root, "credentials", name), "a");
    const known = { POD_NAME: "gateway-1", POD_NAMESPACE: "gateways", POD_IP: "10.0.0.7", SERVICE_ACCOUNT: "gateway" };
    const args = argumentsOf(gateway.spec.containers[0], known).map((arg) =>
      arg.replace("/var/run/headgate", join(root, "credentials")),
    );
    const run = runHeadgate(scope, ["proxy", ...args, "--print-bootstrap"], folder());
    expect((await run.exited).code, run.stderr()).toBe(0);
    expect(JSON.parse(run.stdout()).node.id).toBe("router~10.0.0.7~gateway-1.gateways~gateways.svc.cluster.local");
  });
});

const obstacle = await confinementObstacle();
if (obstacle) console.warn(`Images are not run as in containers: ${obstacle}`);

describe.skipIf(obstacle)("an image's files, read-only, for a user without rights", () => {
  const program = ["node", join(CONFINED_ROOT, "headgate", "bin", "headgate.mjs")];
  let ads: string;

  beforeAll(async () => {
    await mkdir(join(root, "policies"));
    await writeFile(join(root, "policies", "a.yaml"), "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n");
    const [envoy, target] = [await testEnvoyBinary(), join(root, "envoy")];
    await link(envoy, target).catch(() => copyFile(envoy, target));
  });

  test("are enough for a control plane", async () => {
    const addresses = ["--ads=127.0.0.1:0", "--admin=127.0.0.1:0", "--status=127.0.0.1:0"];
    const args = ["serve", "--config", join(CONFINED_ROOT, "policies"), "--module-cache=/tmp/modules", ...addresses];
    const run = runConfined(scope, { root, user: controlPlane.spec.securityContext.runAsUser }, [...program, ...args]);
    const line = await eventually("it serves", () => run.stdout().split("\n").find(Boolean)).catch((error: Error) => {
      throw new Error(`${error.message}\n${run.stderr()}`);
    });
    const served = JSON.parse(line);
    ads = served.ads;
    expect((await fetch(`http://${served.status}/healthz/ready`)).status).toBe(200);
  });

  test("are enough for a proxy and its Envoy", async () => {
    const status = `127.0.0.1:${await freePort()}`;
    const args = ["proxy", "--role=router", "--ip=127.0.0.1", "--low-ports=no", "--concurrency=1", `--ads=${ads}`];
    const confinement = {
      root,
      user: gateway.spec.securityContext.runAsUser,
      env: { HEADGATE_ENVOY: join(CONFINED_ROOT, "envoy") },
    };
    const all = [...program, ...args, `--status=${status}`, "--admin=127.0.0.1:0"];
    const run = runConfined(scope, confinement, all);
    const ready = async () => (await fetch(`http://${status}/healthz/ready`)).status === 200;
    await eventually("it is ready", ready, 30_000).catch((error: Error) => {
      throw new Error(`${error.message}\n${run.stderr()}`);
    });
    run.child.kill("SIGTERM");
    expect((await run.exited).code).toBe(0);
  });
});

describe("docker-compose.yml", () => {
  test("builds the stage that is the demo, which `npm start` runs", () => {
    expect(compose.services.demo.build).toEqual({ context: ".", target: "demo" });
    expect(lastOf(inheritedInstructions(stages, "demo"), "CMD")).toBe('["npm", "start"]');
  });

  test.skipIf("error" in composeGo)("is what Compose's own reader takes", async () => {
    const { value } = composeGo as { value: string };
    const { stdout } = await promisify(execFile)(value, ["-format", "json", "docker-compose.yml"]);
    expect(JSON.parse(stdout).services.demo).toMatchObject({ init: true, network_mode: "host" });
  });
});
