// Virtual hosts that travel one by one (VHDS) under load, while the connection they came by breaks and the control plane
// is killed: hosts that the filter decides stay as they were, and what changed meanwhile is taken over afterwards.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { VIRTUAL_HOST } from "../../controlplane/xds/order.js";
import { proxyViewsOf, startSidecar } from "../faults/sidecar.js";
import { freePort, loopbackAddress } from "../harness/addresses.js";
import { type Backend, startBackend } from "../harness/backend.js";
import { type Load, startLoad } from "../harness/load.js";
import { httpService, virtualService } from "../harness/policies.js";
import { startRelay } from "../harness/relay.js";
import { testScope } from "../harness/scope.js";
import { startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
/** Each has rules, so the route matcher and the filter decide; "steady" never changes. */
const HOSTS = ["steady", "changed", "again"] as const;
type Host = (typeof HOSTS)[number];

/** Sends jason to a subset, and everyone else to v2. */
const rules = (host: Host, jason: string) =>
  virtualService(
    host,
    `  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: ${host}, subset: ${jason}}}]
  - route: [{destination: {host: ${host}, subset: v2}}]
`,
  );

interface Users {
  /** Resolves when every user was answered again by every host. */
  goOn(): Promise<void>;
  /** Requests without an answer, and by "user at host" who answered, in that order; more often only after another. */
  stop(): Promise<{ readonly broken: readonly string[]; readonly seen: Readonly<Record<string, readonly string[]>> }>;
}

/** Two users ask every host, one request at a time each. */
function startUsers(address: string): Users {
  const seen: Record<string, string[]> = {};
  const answers: Record<string, number> = {};
  const loads: Load[] = HOSTS.flatMap((host) =>
    ["jason", "ann"].map((user) => {
      const who = `${user} at ${host}`;
      const outcomes: string[] = [];
      seen[who] = outcomes;
      answers[who] = 0;
      return startLoad({
        url: `http://${address}:9080/`,
        headers: { host: `${host}.default.svc.cluster.local`, "end-user": user },
        concurrency: 1,
        name({ status, body }) {
          const outcome = status === 200 ? (JSON.parse(body).backend as string) : String(status);
          if (outcomes.at(-1) !== outcome) outcomes.push(outcome);
          answers[who] = (answers[who] ?? 0) + 1;
          return outcome;
        },
      });
    }),
  );
  return {
    async goOn() {
      const before = { ...answers };
      await eventually("every user is answered", () =>
        Object.keys(seen).every((who) => (answers[who] ?? 0) > (before[who] ?? 0)),
      );
    },
    async stop() {
      const results = await Promise.all(loads.map((load) => load.stop()));
      return { broken: results.flatMap(({ broken }) => broken), seen };
    },
  };
}

function sawJason(backend: Backend, host: Host): boolean {
  return backend.requests.some(
    ({ headers }) => headers["end-user"] === "jason" && headers.host === `${host}.default.svc.cluster.local`,
  );
}

describe("virtual hosts that the filter decides", () => {
  it("outlive a broken connection and the control plane, and take over what changed meanwhile", async () => {
    const directory = await scope.directory();
    const [v1, v2, v3] = await Promise.all(["v1", "v2", "v3"].map((name) => startBackend(scope, name)));
    if (!v1 || !v2 || !v3) throw new Error("a backend is missing");
    const write = (host: Host, jason: string) => writeFile(join(directory, `${host}-rules.yaml`), rules(host, jason));
    for (const host of HOSTS) {
      await writeFile(join(directory, `${host}.yaml`), httpService(host, { v1, v2, v3 }));
      await write(host, "v1");
    }
    const ads = `127.0.0.1:${await freePort()}`;
    const args = ["--config", directory, "--ads", ads, "--admin", "127.0.0.1:0"];
    let served = await startServe(scope, args);
    const relay = await startRelay(scope, Number(ads.split(":")[1]));
    const address = await loopbackAddress(scope);
    const envoy = await startSidecar(scope, { ads: `127.0.0.1:${relay.port}`, address, name: "client" });
    const connected = async () => (await envoy.stat("control_plane.connected_state")) === 1;
    const inStep = () =>
      eventually("the proxy is back and in step", async () => {
        const { revision, proxies } = await proxyViewsOf(served.admin);
        const [proxy] = proxies;
        return proxy?.state === "synced" && proxy.acknowledgedRevision >= revision && proxy;
      });
    const before = await inStep();
    expect(before.types[VIRTUAL_HOST]).toMatchObject({ state: "synced" });
    expect(before.types[VIRTUAL_HOST]?.resources).toBeGreaterThanOrEqual(HOSTS.length);
    const users = startUsers(address);
    await users.goOn();

    const { revision } = await proxyViewsOf(served.admin);
    relay.refuse(true);
    relay.cut();
    await eventually("the proxy notices", async () => !(await connected()));
    await write("changed", "v3");
    await eventually("the control plane reads it", async () => (await proxyViewsOf(served.admin)).revision > revision);
    await users.goOn();
    expect(sawJason(v3, "changed")).toBe(false);
    relay.refuse(false);
    await eventually("the host that changed is taken over", () => sawJason(v3, "changed"));
    await inStep();
    expect(relay.passed).toBe(2);

    await served.kill();
    await eventually("the proxy notices", async () => !(await connected()));
    await write("again", "v3");
    await users.goOn();
    expect(sawJason(v3, "again")).toBe(false);
    served = await startServe(scope, args);
    await eventually("the other host that changed is taken over", () => sawJason(v3, "again"));
    const after = await inStep();
    expect(after.types[VIRTUAL_HOST]?.resources).toBe(before.types[VIRTUAL_HOST]?.resources);
    await users.goOn();

    const { broken, seen } = await users.stop();
    expect(broken).toEqual([]);
    expect(seen).toEqual({
      "jason at steady": ["v1"],
      "jason at changed": ["v1", "v3"],
      "jason at again": ["v1", "v3"],
      "ann at steady": ["v2"],
      "ann at changed": ["v2"],
      "ann at again": ["v2"],
    });
  });
});
