// `headgate proxy` as a person runs it: clear words about flags, readiness under a control plane, a gentle end.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { freePort, loopbackAddress } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { headgate } from "../harness/command.js";
import { testEnvoyBinary } from "../harness/envoy.js";
import { allGone, descendants, runHeadgate } from "../harness/headgate.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

test("All faulty flags are told at once, with what to write", async () => {
  const faulty = ["--ip", "here", "--ads", "nowhere", "--labels", "app", "--concurrency", "0", "--drain-time", "long"];
  const { code, stdout, stderr } = await headgate("proxy", ...faulty);
  expect([code, stdout]).toEqual([64, ""]);
  for (const flag of ["--ip", "--ads", "--labels", "--concurrency", "--drain-time"]) expect(stderr).toContain(flag);
});

test("A missing address, an unknown role and an unknown flag are usage errors", async () => {
  for (const args of [[], ["--ip", "127.0.0.1", "--role", "waypoint"], ["--ip", "127.0.0.1", "--nome", "x"]])
    expect(await headgate("proxy", ...args), args.join(" ")).toMatchObject({ code: 64 });
});

test("The bootstrap can be printed without starting anything", async () => {
  const args = ["--ip", "127.0.9.1", "--ip", "::1", "--name", "a", "--namespace", "b", "--role", "router"];
  const more = [
    "--labels",
    "app=x,version=v1",
    "--locality",
    "eu/eu-1",
    "--low-ports",
    "no",
    "--dns-resolver",
    "[::1]:53",
  ];
  const run = runHeadgate(scope, ["proxy", ...args, ...more, "--print-bootstrap"]);
  expect(await run.exited).toMatchObject({ code: 0 });
  expect(JSON.parse(run.stdout())).toMatchObject({
    node: {
      id: "router~127.0.9.1~a.b~b.svc.cluster.local",
      locality: { region: "eu", zone: "eu-1" },
      metadata: { LABELS: { app: "x", version: "v1" }, INSTANCE_IPS: "127.0.9.1,::1", UNPRIVILEGED_POD: "true" },
    },
    typed_dns_resolver_config: {
      typed_config: { resolvers: [{ socket_address: { address: "::1", port_value: 53 } }] },
    },
  });
});

test("An Envoy that cannot be run is named by the flag it came from", async () => {
  const run = runHeadgate(scope, ["proxy", "--ip", "127.0.0.1", "--envoy", "/nowhere/envoy"]);
  expect(await run.exited).toMatchObject({ code: 69 });
  expect(run.stderr()).toContain("--envoy is /nowhere/envoy, which does not run");
});

test("A proxy that no control plane answers says so, and how it asks", async () => {
  const [own, port, admin] = [await loopbackAddress(scope), await freePort(), await freePort()];
  const envoy = ["--envoy", await testEnvoyBinary(), "--concurrency", "1", "--admin", `127.0.0.1:${admin}`];
  const proxy = runHeadgate(scope, ["proxy", "--ip", own, "--ads", `127.0.0.1:${port}`, ...envoy]);
  await eventually("it says so", () => proxy.stderr().includes("not ready after 10 s: Envoy is "), 30_000);
  expect(proxy.stderr()).toContain(
    `Does the control plane at 127.0.0.1:${port} answer, in plaintext, as without --ads-ca?`,
  );
  proxy.child.kill("SIGTERM");
  expect(await proxy.exited).toEqual({ code: 0, signal: null });
});

test("A proxy carries traffic once it says it is ready, survives its Envoy's crash, logs requests, and drains on SIGTERM", async () => {
  const directory = await scope.directory();
  const backend = await startBackend(scope, "plain");
  await writeFile(join(directory, "world.yaml"), worldOf(backend));
  const addresses = ["--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
  const serve = runHeadgate(scope, ["serve", "--config", directory, ...addresses, "--access-log", "/dev/stdout"]);
  const { ads } = JSON.parse(await eventually("the control plane serves", () => /^\{.*\}$/m.exec(serve.stdout())?.[0]));
  const own = await loopbackAddress(scope);
  const envoy = ["--envoy", await testEnvoyBinary(), "--concurrency", "1", "--admin", `127.0.0.1:${await freePort()}`];
  const proxy = runHeadgate(scope, ["proxy", "--ip", own, "--name", "client", "--ads", ads, ...envoy]);
  await eventually("the proxy is ready", () => proxy.stderr().includes("ready; Envoy's admin interface is"), 30_000);
  const url = `http://${own}:8000/hello`;
  const headers = { host: "plain:8000" };
  expect(JSON.parse((await ask(url, { headers })).body)).toMatchObject({ backend: "plain", path: "/hello" });

  const pid = Number(/started Envoy \(pid (\d+)\)/.exec(proxy.stderr())?.[1]);
  process.kill(pid, "SIGKILL");
  await eventually("the crash is told", () => /ended by itself \(SIGKILL\); starting it again/.test(proxy.stderr()));
  await eventually("it carries traffic again", async () => (await ask(url, { headers })).status === 200);

  backend.behave(() => "stall");
  const inFlight = ask(url, { headers });
  await eventually("a request is in flight", () => backend.requests.length === 3);
  const processes = descendants(proxy.pid);
  proxy.child.kill("SIGTERM");
  await eventually("it drains", () => proxy.stderr().includes("draining for up to 5000 ms"));
  await backend.close();
  expect((await inFlight).status).toBe(503);
  expect(await proxy.exited).toEqual({ code: 0, signal: null });
  expect(proxy.stdout()).toContain('"path":"/hello"');
  await allGone(processes);
});

function worldOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `
apiVersion: v1
kind: Service
metadata: {name: plain}
spec: {ports: [{name: http, port: 8000, targetPort: ${port}}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: plain-1, labels: {kubernetes.io/service-name: plain}}
addressType: IPv4
ports: [{name: http, port: ${port}}]
endpoints: [{addresses: [${host}]}]
`;
}
