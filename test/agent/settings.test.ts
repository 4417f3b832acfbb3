// The files of `headgate proxy` that stand for flags: what changes in them takes effect under load, what is faulty does not.
import { existsSync, readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { withFiles } from "../../controlplane/cli/proxy-files.js";
import { freePort, loopbackAddress } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { testEnvoyBinary } from "../harness/envoy.js";
import { allGone, descendants, type Running, runHeadgate } from "../harness/headgate.js";
import { startLoad } from "../harness/load.js";
import { httpService, virtualService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
/** Two changes that are not seen at once: the second takes over when the former of the first has ended, 47 s later. */
const SECOND_TAKEOVER_MS = 90_000;

/** Those that are labelled track=new go to v2, all others to v1. */
const BY_LABEL = virtualService(
  "reviews",
  `  - match: [{sourceLabels: {track: new}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - route: [{destination: {host: reviews, subset: v1}}]
`,
);

/** The directory and the shared memory of an Envoy; nothing of another process, or of one that is gone. */
function leftBehind(pid: number): string[] {
  const file = `/proc/${pid}/cmdline`;
  const words = existsSync(file) ? readFileSync(file, "latin1").split("\0") : [];
  const after = (flag: string) => words[words.indexOf(flag) + 1] ?? "";
  if (words[0]?.endsWith("/envoy") !== true || !words.includes("--base-id")) return [];
  return [dirname(after("-c")), `/dev/shm/envoy_shared_memory_${Number(after("--base-id")) * 10}`];
}

const replaceFile = async (file: string, text: string) => {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
};

/** A proxy with both files under a control plane of its own, and what its status server tells. */
async function startProxy(labels: string, settings: string) {
  const [directory, policies] = [await scope.directory(), await scope.directory()];
  const [v1, v2] = [await startBackend(scope, "v1"), await startBackend(scope, "v2")];
  await writeFile(join(policies, "service.yaml"), httpService("reviews", { v1, v2 }));
  await writeFile(join(policies, "rules.yaml"), BY_LABEL);
  const files = { labels: join(directory, "labels"), settings: join(directory, "settings.yaml") };
  await replaceFile(files.labels, labels);
  await replaceFile(files.settings, settings);
  const serve = await startServe(scope, ["--config", policies, "--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
  const [own, status] = [await loopbackAddress(scope), await freePort()];
  const proxy = runHeadgate(scope, [
    ...["proxy", "--ip", own, "--name", "web", "--ads", serve.ads, "--admin", "127.0.0.1:0", "--low-ports", "no"],
    ...["--status", `127.0.0.1:${status}`, "--envoy", await testEnvoyBinary()],
    ...["--labels-file", files.labels, "--settings", files.settings],
  ]);
  const metric = async (name: string) => {
    const { body } = await ask(`http://127.0.0.1:${status}/metrics`);
    return Number(new RegExp(`^${name}(?:{})? (\\d+)$`, "m").exec(body)?.[1]);
  };
  const isReady = async () => (await ask(`http://127.0.0.1:${status}/healthz/ready`)).status === 200;
  await eventually("the proxy is ready", isReady, 30_000);
  return { proxy, files, metric, isReady, url: `http://${own}:9080/` };
}

/** Kills the agent, of which so many Envoys run. */
async function killAgent(proxy: Running, envoys: number): Promise<void> {
  const all = descendants(proxy.pid);
  const left = all.map(leftBehind).filter((paths) => paths.length > 0);
  expect(left).toHaveLength(envoys);
  expect(left.flat().every((path) => existsSync(path))).toBe(true);
  proxy.child.kill("SIGKILL");
  await allGone(all);
  await eventually("nothing is left behind", () => !left.flat().some((path) => existsSync(path)));
}

test("Labels and settings that change have another Envoy take over, without a failed request, and both die with the agent", {
  timeout: 2 * SECOND_TAKEOVER_MS,
}, async () => {
  const started = await startProxy('app="web"\ntrack="old"\n', "concurrency: 1\ndrain-time: 0s\n");
  const { proxy, files, metric, isReady, url } = started;
  const headers = { host: "reviews.default.svc.cluster.local" };
  const backend = async () => JSON.parse((await ask(url, { headers })).body).backend;
  expect(await backend()).toBe("v1");

  const kept = startLoad({ url, headers, concurrency: 2 });
  const fresh = startLoad({ url, headers: { ...headers, connection: "close" }, concurrency: 2 });
  await replaceFile(files.settings, "memory-limit: small\n");
  await eventually("the fault is told", () => proxy.stderr().includes('--memory-limit is "small"'));
  await replaceFile(files.settings, "concurrency: 2\ndrain-time: 0s\nmemory-limit: 512Mi\n");
  await replaceFile(files.labels, 'app="web"\ntrack="new"\n');
  await eventually("the new label counts", async () => (await backend()) === "v2", SECOND_TAKEOVER_MS);
  await eventually("another Envoy has taken over", async () => (await metric("headgate_agent_envoy_takeovers")) > 0);
  const concurrency = async () => metric("envoy_server_concurrency");
  await eventually("both changes are in force", async () => (await concurrency()) === 2, SECOND_TAKEOVER_MS);
  expect(await isReady()).toBe(true);
  expect(await metric("headgate_agent_envoy_restarts")).toBe(0);
  for (const load of [kept, fresh]) {
    const { requests, outcomes, broken } = await load.stop();
    expect(broken).toEqual([]);
    expect(outcomes).toEqual({ 200: requests });
  }
  await killAgent(proxy, 2);
});

test("An agent that is killed while another Envoy is to take over leaves none", async () => {
  const { proxy, files, isReady } = await startProxy("app=web\n", "concurrency: 1\n");
  await replaceFile(files.settings, `concurrency: 1\nads: 127.0.0.1:${await freePort()}\n`);
  const envoys = () => descendants(proxy.pid).filter((pid) => leftBehind(pid).some((path) => existsSync(path)));
  await eventually("the next one waits for a control plane", () => envoys().length === 2, 30_000);
  expect(await isReady()).toBe(true);
  await killAgent(proxy, 2);
});

test("What the files say takes the place of flags, and faults name the file and what to write", async () => {
  const directory = await scope.directory();
  const file = async (text: string) => {
    const path = join(directory, "file");
    await writeFile(path, text);
    return path;
  };
  const settings = async (text: string) => withFiles({ labels: "a=1", settings: await file(text) }, directory);
  const labels = async (text: string) => withFiles({ labels: "a=1", labelsFile: await file(text) }, directory);
  expect(await settings("")).toMatchObject({ value: { labels: "a=1" } });
  expect(await settings("ads-ca: /ca.pem\nconcurrency: 3")).toMatchObject({
    value: { labels: "a=1", adsCa: "/ca.pem", concurrency: "3" },
  });
  expect(await labels('app="web"\n\nversion=v1\n')).toMatchObject({ value: { labels: "app=web,version=v1" } });
  for (const [read, fault] of [
    [await settings("status: 127.0.0.1:1"), /file: "status" is none of labels/],
    [await settings("labels: {a: b}"), /"labels" is no text/],
    [await settings("- x"), /is no map/],
    [await settings("a: [b"), /file: .*line 1/s],
    [await labels("app"), /has the line app: write key="value"/],
    [await withFiles({ settings: "nowhere" }, directory), /nowhere/],
  ] as const)
    expect("error" in read && read.error).toMatch(fault);
});
