// `headgate status` and `headgate config` as a person runs them: what they show, of whom, and how they exit.
import { beforeAll, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import type { ProxyView } from "../../controlplane/admin/proxies.js";
import { CLUSTER, ENDPOINTS, LISTENER } from "../../controlplane/xds/order.js";
import { headgate } from "../harness/command.js";
import { runHeadgate } from "../harness/headgate.js";
import { serviceEntry } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { connect, ScriptedStream } from "../xds/support/script.js";
import { idOf, type Served, startServed } from "./support/served.js";

const scope = testScope();
const A = "outbound|9080||a.default.svc.cluster.local";
let served: Served;

interface Status {
  readonly revision: number;
  readonly proxies: readonly ProxyView[];
}

beforeAll(async () => {
  served = await startServed(scope, { "a.yaml": serviceEntry("a", { v1: { port: 1001 } }) });
});

/** A proxy that acknowledges clusters and their endpoints, and rejects listeners if it is told to. */
async function connectProxy(name: string, rejection?: string): Promise<ScriptedStream> {
  const stream = new ScriptedStream(scope.use(connect(served.ads)), "delta", idOf(name));
  stream.subscribe(CLUSTER);
  await stream.accept();
  stream.subscribe(ENDPOINTS, A);
  await stream.accept();
  stream.subscribe(LISTENER);
  const listeners = await stream.receive();
  if (rejection === undefined) stream.ack(listeners);
  else stream.nack(listeners, rejection);
  const state = rejection === undefined ? "synced" : "rejected";
  await eventually(`${name} is ${state}`, async () => (await stateOf(name)) === state);
  return stream;
}

async function stateOf(name: string): Promise<string | undefined> {
  const { proxies } = (await (await fetch(`http://${served.admin}/proxies`)).json()) as Status;
  return proxies.find(({ id }) => id === idOf(name))?.state;
}

const run = (...args: string[]) => headgate(...args, "--admin", served.admin);

test("Status exits with 0 while all is well, with 1 when a proxy rejects, and tells what, when and why", async () => {
  await connectProxy("good");
  const fine = await run("status");
  const process = runHeadgate(scope, ["status", "--admin", served.admin]);
  expect([(await process.exited).code, process.stdout()]).toEqual([fine.code, fine.stdout]);
  expect([fine.code, fine.stderr]).toEqual([0, ""]);
  expect(fine.stdout).toMatch(/^PROXY +CDS +EDS +LDS +RDS +VHDS +SDS +ECDS +REVISION\n/);
  expect(fine.stdout).toMatch(/^good\.default +synced \(\d+\) +synced \(1\) +synced \(\d+\) +- .* 1 of 1$/m);

  const bad = await connectProxy("bad", "virtualOutbound: \u001b[31mno such\nfilter");
  const [all, one, good] = await Promise.all([
    run("status"),
    run("status", "bad", "-o", "json"),
    run("status", "good"),
  ]);
  expect(all.code).toBe(1);
  const when = String.raw`\d{4}-\d\d-\d\dT[\d:.]+Z`;
  const id = idOf("bad").replaceAll(".", "\\.");
  expect(all.stdout).toMatch(
    new RegExp(`^${id} rejected Listener .*at ${when}: virtualOutbound: \\\\u001b\\[31mno such\\\\nfilter$`, "m"),
  );
  expect(all.stdout).not.toContain("\u001b");
  const told = JSON.parse(one.stdout) as Status;
  expect([one.code, told.proxies.map((proxy) => proxy.id)]).toEqual([1, [idOf("bad")]]);
  expect(told.proxies[0]?.types[LISTENER]).toMatchObject({
    state: "rejected",
    lastError: { message: "virtualOutbound: \u001b[31mno such\nfilter", at: expect.stringMatching(when) },
  });
  expect(good.code).toBe(0);
  expect(good.stdout).toMatch(/^state: synced$/m);
  expect(good.stdout).toMatch(/^TYPE +STATE +RESOURCES +SENT +ACKNOWLEDGED$/m);
  bad.cancel();
  await eventually("it is gone", async () => (await stateOf("bad")) === "disconnected");
  const gone = await run("status", "-o", "yaml");
  expect([gone.code, (parse(gone.stdout) as Status).proxies.length]).toEqual([0, 2]);
  expect((await run("status", "bad")).code).toBe(1);
});

test("A proxy that has yet to answer is stale", async () => {
  const stream = new ScriptedStream(scope.use(connect(served.ads)), "delta", idOf("slow"));
  stream.subscribe(CLUSTER);
  await stream.receive();
  const { code, stdout } = await run("status", "slow.default");
  expect([code, stdout]).toEqual([1, expect.stringMatching(/^state: stale$/m)]);
  stream.cancel();
});

test("Config shows what a proxy holds, decoded, narrowed by type and name, in each format", async () => {
  const stream = await connectProxy("reader");
  const [yaml, json, table, none] = await Promise.all([
    run("config", "reader", "cds", "--name", A),
    run("config", "reader", "ClusterLoadAssignment", "-o", "json"),
    run("config", "reader", "-o", "table"),
    run("config", "reader", "sds"),
  ]);
  expect([yaml.code, json.code, table.code, none.code]).toEqual([0, 0, 0, 0]);
  expect(parse(yaml.stdout)).toMatchObject([
    { type: "Cluster", name: A, standing: "held", resource: { name: A, type: "EDS" } },
  ]);
  expect(parseAllDocuments(yaml.stdout)).toHaveLength(1);
  expect(JSON.parse(json.stdout)).toMatchObject([{ name: A, standing: "held", resource: { clusterName: A } }]);
  expect(table.stdout).toMatch(/^TYPE +NAME +STANDING +VERSION$/m);
  expect(table.stdout).toMatch(/^TypedExtensionConfig +headgate\.traffic +unwanted +\S{22}$/m);
  expect(none.stdout).toBe("[]\n");
  stream.cancel();
});

test("Whoever asks for what is not there is told what there is", async () => {
  const stream = await connectProxy("only");
  const cases = [
    [["status", "nobody"], 1, '"nobody" is not connected; there are'],
    [["config", "nobody"], 1, '"nobody" is not connected; there are'],
    [["config", "only", "routes"], 64, 'there is no type "routes": give cds, eds'],
    [["config"], 64, "missing required argument"],
    [["status", "-o", "xml"], 64, "table, json, yaml"],
  ] as const;
  for (const [args, code, words] of cases) {
    const told = await run(...args);
    expect([told.code, told.stderr], words).toEqual([code, expect.stringContaining(words)]);
  }
  for (const command of ["status", "config"]) {
    const told = await headgate(command, ...(command === "config" ? ["x"] : []), "--admin", "127.0.0.1:1");
    expect([told.code, told.stderr]).toEqual([69, expect.stringContaining("no control plane answers at 127.0.0.1:1")]);
  }
  stream.cancel();
});
