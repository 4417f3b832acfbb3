// What the admin tells of proxies while they answer, refuse, lag and go: configuration page by page, and metrics.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import type { ConfigPage, ConfigType } from "../../controlplane/admin/config.js";
import type { ProxyView } from "../../controlplane/admin/proxies.js";
import { packagePath } from "../../controlplane/agent/package-root.js";
import { type ControlPlane, startControlPlane } from "../../controlplane/main.js";
import { CLUSTER, ENDPOINTS } from "../../controlplane/xds/order.js";
import { serviceEntry } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { connect, ScriptedStream } from "../xds/support/script.js";

const scope = testScope();
let directory: string;
let controlPlane: ControlPlane;

const idOf = (name: string) => `sidecar~10.0.0.1~${name}.default~default.svc.cluster.local`;
const endpoint = (port: number) => ({ v1: { port } });

beforeAll(async () => {
  directory = await scope.directory();
  await writeFile(join(directory, "a.yaml"), serviceEntry("a", endpoint(1001)));
  await writeFile(
    join(directory, "bad.yaml"),
    "apiVersion: v1\nkind: Service\nmetadata: {name: 'Bad Name'}\nspec: {}\n",
  );
  controlPlane = scope.use(
    await startControlPlane({
      directories: [directory],
      defaultNamespace: "default",
      rootNamespace: "istio-system",
      ads: "127.0.0.1:0",
      admin: "127.0.0.1:0",
      trafficFilter: packagePath("build", "traffic.wasm"),
      tryFilter: packagePath("build", "try.wasm"),
    }),
  );
});

function open(name: string): ScriptedStream {
  const client = connect(controlPlane.ads);
  scope.use(client);
  return new ScriptedStream(client, "delta", idOf(name));
}

async function ask<T>(path: string): Promise<T> {
  return (await (await fetch(`http://${controlPlane.admin}${path}`)).json()) as T;
}

const config = <T>(name: string, query = "") => ask<T>(`/config?proxy=${encodeURIComponent(idOf(name))}${query}`);

/** "outbound|9080||a..." -> its standing. */
async function standings(name: string, type: string): Promise<Record<string, string>> {
  const { resources } = await config<ConfigPage>(name, `&type=${type}&contains=outbound|9080||&versions`);
  return Object.fromEntries(resources.map((resource) => [resource.name.split("|").at(-1), resource.standing]));
}

/** One sample by its name and labels, as Prometheus reads it. */
async function sample(name: string): Promise<number> {
  const text = await (await fetch(`http://${controlPlane.admin}/metrics`)).text();
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

test("A proxy's standing with each resource follows what it asks for, answers and refuses", async () => {
  const a = "a.default.svc.cluster.local";
  const stream = open("standing");
  stream.subscribe(CLUSTER);
  const first = await stream.receive();
  expect(await standings("standing", "cds")).toEqual({ [a]: "sent" });
  expect(await standings("standing", "eds")).toEqual({ [a]: "unwanted" });
  stream.ack(first);
  await eventually("it is held", async () => (await standings("standing", "cds"))[a] === "held");

  stream.subscribe(ENDPOINTS, `outbound|9080||${a}`);
  await stream.accept();
  await eventually("they are held", async () => (await standings("standing", "eds"))[a] === "held");
  await writeFile(join(directory, "b.yaml"), serviceEntry("b", endpoint(1002)));
  const second = await stream.receive();
  stream.nack(second, "no thanks");
  const b = "b.default.svc.cluster.local";
  await eventually("it is refused", async () => (await standings("standing", "cds"))[b] === "rejected");
  expect(await standings("standing", "cds")).toEqual({ [a]: "held", [b]: "rejected" });
  const { proxies } = await ask<{ proxies: ProxyView[] }>("/proxies");
  const view = proxies.find(({ id }) => id === idOf("standing"));
  expect(view).toMatchObject({ state: "rejected", connected: true });
  expect(view?.types[CLUSTER]?.lastError).toMatchObject({ message: "no thanks", names: [`outbound|9080||${b}`] });
  stream.cancel();
});

test("A proxy that is not connected, and a type that is none, are told as such", async () => {
  expect(await config("nobody")).toEqual({ error: expect.stringContaining("no such proxy is connected") });
  const stream = open("somebody");
  stream.subscribe(CLUSTER);
  await stream.accept();
  expect(await config("somebody", "&type=routes")).toEqual({ error: expect.stringContaining("give cds, eds") });
  expect(await config("somebody", "&type=cds&after=gone")).toEqual({ error: expect.stringContaining("begin again") });
  const { types } = await config<{ types: ConfigType[] }>("somebody");
  expect(types.map(({ type }) => type)).toEqual(expect.arrayContaining(["Cluster", "Listener", "RouteConfiguration"]));
  stream.cancel();
});

test("Configuration comes a page at a time, whole and without repetition, however much there is", async () => {
  const stream = open("reader");
  stream.subscribe(CLUSTER);
  await stream.accept();
  const many = Array.from({ length: 600 }, (_, index) => serviceEntry(`many-${index}`, endpoint(2000 + index)));
  await writeFile(join(directory, "many.yaml"), many.join("---\n"));
  await eventually("they are there", async () => {
    const { types } = await config<{ types: ConfigType[] }>("reader");
    return types.some(({ type, resources }) => type === "Cluster" && resources > 600);
  });
  const names: string[] = [];
  const lengths: number[] = [];
  for (let after: string | null = ""; after !== null; ) {
    const query: string = after === "" ? "&type=cds" : `&type=cds&after=${encodeURIComponent(after)}`;
    const page: ConfigPage = await config("reader", query);
    lengths.push(JSON.stringify(page).length);
    names.push(...page.resources.map(({ name }) => name));
    after = page.next;
  }
  expect(lengths.length).toBeGreaterThan(1);
  expect(Math.max(...lengths)).toBeLessThan(400_000);
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => name.includes("many-"))).toHaveLength(600);

  const one = await config<ConfigPage>("reader", "&type=cds&name=outbound|9080||a.default.svc.cluster.local");
  expect(one.resources).toMatchObject([
    { resource: { type: "EDS", name: "outbound|9080||a.default.svc.cluster.local" } },
  ]);
  const some = await config<ConfigPage>("reader", "&type=cds&contains=many-59&versions");
  expect(some.resources).toHaveLength(11);
  expect(some.resources.every((resource) => resource.resource === undefined)).toBe(true);
  stream.cancel();
});

test("Metrics count what is pushed and how it is answered, and how long that took", async () => {
  const counted = async () => ({
    pushes: await sample('headgate_ads_pushes_total{type="Cluster"}'),
    acknowledged: await sample('headgate_ads_acknowledgements_total{type="Cluster"}'),
    rejected: await sample('headgate_ads_rejections_total{type="Cluster"}'),
    connects: await sample('headgate_delivery_seconds_count{cause="connect"}'),
    changes: await sample('headgate_delivery_seconds_count{cause="change"}'),
  });
  await eventually("nobody is connected", async () => (await sample("headgate_proxies")) === 0);
  const before = await counted();
  const stream = open("counted");
  stream.subscribe(CLUSTER);
  await stream.accept();
  await eventually("its delivery is seen", async () => (await counted()).connects === before.connects + 1);
  expect([await sample("headgate_proxies"), await sample("headgate_ads_streams")]).toEqual([1, 1]);
  expect(await sample("headgate_ads_waiting_streams")).toBe(0);
  await writeFile(join(directory, "c.yaml"), serviceEntry("c", endpoint(1003)));
  await stream.accept();
  await eventually("the change's delivery is seen", async () => (await counted()).changes === before.changes + 1);
  await writeFile(join(directory, "d.yaml"), serviceEntry("d", endpoint(1004)));
  stream.nack(await stream.receive(), "no");
  await eventually("the refusal is seen", async () => (await counted()).rejected === before.rejected + 1);
  const after = await counted();
  expect([after.pushes - before.pushes, after.acknowledged - before.acknowledged]).toEqual([3, 2]);
  expect(await sample('headgate_ads_pushed_bytes_total{type="Cluster"}')).toBeGreaterThan(100);
  stream.cancel();
  await eventually("it is gone", async () => (await sample("headgate_proxies")) === 0);
});

test("Metrics tell the state: objects by kind, violations by severity and code, translation, loop lag, memory", async () => {
  expect(await sample('headgate_objects{kind="ServiceEntry"}')).toBeGreaterThan(600);
  expect(await sample('headgate_violations{severity="error",code="invalid-name"}')).toBeGreaterThan(0);
  expect(await sample("headgate_translation_seconds_count")).toBeGreaterThan(0);
  expect(await sample('headgate_event_loop_lag_seconds{quantile="0.99"}')).toBeGreaterThanOrEqual(0);
  expect(await sample("process_resident_memory_bytes")).toBeGreaterThan(1e7);
  expect(await sample("headgate_ads_certificate_expiry_timestamp_seconds")).toBe(0);
});

test("The number of series does not depend on how many proxies and hosts there are", async () => {
  const series = async () => {
    const text = await (await fetch(`http://${controlPlane.admin}/metrics`)).text();
    return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  };
  const before = await series();
  const streams = Array.from({ length: 20 }, (_, index) => open(`fleet-${index}`));
  for (const [index, stream] of streams.entries()) {
    stream.subscribe(CLUSTER);
    stream.subscribe(`type.googleapis.com/test.Invented${index}`);
    await stream.accept();
  }
  await eventually("all are connected", async () => (await sample("headgate_proxies")) === 20);
  const after = await series();
  const names = (lines: string[]) => lines.map((line) => line.slice(0, line.lastIndexOf(" "))).sort();
  expect(names(after)).toEqual(names(before));
  expect(after.join("\n")).not.toMatch(/fleet|many-|cluster\.local|10\.0\.0\.1/);
  for (const stream of streams) stream.cancel();
});
