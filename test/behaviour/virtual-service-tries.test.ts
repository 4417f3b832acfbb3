// Faults that are drawn for every try, on traffic through a real sidecar: retries meet them again, or get past them.
import { beforeAll, describe, expect, it } from "vitest";
import { type Backend, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { sendMany } from "../harness/load.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { serviceEntry, subsets, virtualService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
const HOST = "ratings.default.svc.cluster.local";
const FOR_TRIES = '{headgate.dev/fault-draw: "try"}';
let mesh: TestMesh;
let sidecar: TestProxy;
let ratings: Backend;

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  ratings = await startBackend(scope, "ratings");
  await mesh.apply("ratings.yaml", serviceEntry("ratings", { v1: ratings }));
  await mesh.apply("subsets.yaml", subsets("ratings", ["v1"]));
  sidecar = await mesh.startProxy({ name: "client" });
});

/** One rule to v1 with three retries. */
async function apply(fault: string, retries: string, annotations = FOR_TRIES): Promise<void> {
  const http = `  - route: [{destination: {host: ratings, subset: v1}}]
    timeout: 10s
    retries: {attempts: 3, ${retries}}
    fault: ${fault}
`;
  await mesh.apply("rule.yaml", virtualService("ratings", http, annotations));
}

/** The status of a call, and how many tries of it the backend saw. */
async function call(): Promise<{ status: number; tries: number }> {
  ratings.requests.length = 0;
  const { status } = await ask(`http://${sidecar.address}:9080/`, { headers: { host: HOST } });
  return { status, tries: ratings.requests.length };
}

async function succeeded(calls: number): Promise<number> {
  const url = `http://${sidecar.address}:9080/`;
  return (await sendMany(calls, { url, headers: { host: HOST }, concurrency: 20 })).outcomes[200] ?? 0;
}

describe("a fault that is drawn for every try", () => {
  it("meets each of a request's tries, when it always strikes", async () => {
    await apply("{abort: {httpStatus: 503, percentage: {value: 100}}}", 'retryOn: "503"');
    expect(await call()).toEqual({ status: 503, tries: 4 });
  });

  it("is overcome by retries, when it strikes half of the time", async () => {
    await apply("{abort: {httpStatus: 503, percentage: {value: 50}}}", 'retryOn: "503"');
    // Fifteen of sixteen: 187.5 of 200, and six standard deviations.
    expect(await succeeded(200)).toBeGreaterThan(166);
  });

  it("delays a try past its time, and the request is tried again", async () => {
    await apply("{delay: {fixedDelay: 5s, percentage: {value: 100}}}", "perTryTimeout: 100ms, retryOn: gateway-error");
    const before = await sidecar.stat(RETRIES);
    expect((await call()).status).toBe(504);
    expect((await sidecar.stat(RETRIES)) - before).toBe(3);
  });

  it("is no longer injected once it has expired", async () => {
    await apply(
      "{abort: {httpStatus: 503, percentage: {value: 100}}}",
      'retryOn: "503"',
      '{headgate.dev/fault-draw: "try", headgate.dev/fault-expires: "2020-01-01T00:00:00Z"}',
    );
    expect(await call()).toEqual({ status: 200, tries: 1 });
  });
});

describe("a fault that is drawn once", () => {
  it("is not overcome by retries, and does not reach the backend", async () => {
    await apply("{abort: {httpStatus: 503, percentage: {value: 100}}}", 'retryOn: "503"', "{}");
    expect(await call()).toEqual({ status: 503, tries: 0 });
  });
});

const RETRIES = `cluster.outbound|9080|v1|${HOST}.upstream_rq_retry`;
