// Faults that are drawn for every try, by an upstream filter, so that retries can be tested.
import { beforeAll, expect, test } from "vitest";
import { encodeFault, TRY_FAULT_METADATA_KEY, TRY_FILTER_NAME } from "../../controlplane/policy/compile.js";
import type { PolicyFault, PolicyRule } from "../../controlplane/policy/rule.js";
import { type Backend, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { testScope } from "../harness/scope.js";
import {
  match,
  prefix,
  ruledHost,
  startTrafficEnvoy,
  staticFilter,
  TRY_MODULE,
  type TrafficEnvoy,
} from "./traffic-envoy.js";

const TYPE = "type.googleapis.com/";
const scope = testScope();
let backend: Backend;
let envoy: TrafficEnvoy;

const faults: Record<string, PolicyFault> = {
  broken: { abort: { httpStatus: 503, percentage: 100 }, perTry: true },
  half: { abort: { httpStatus: 503, percentage: 50 }, perTry: true },
  slow: { delay: { millis: 400, percentage: 100 }, perTry: true },
  grpc: { abort: { grpcStatus: 14, percentage: 100 }, perTry: true },
  slower: { delay: { millis: 400, percentage: 100 }, perTry: true },
};

/** Three tries, each with 200 ms on "slower". */
function route(id: string): object {
  const fault = faults[id];
  return {
    match: { prefix: "/" },
    route: {
      cluster: "backend",
      retry_policy: {
        retry_on: "5xx,unavailable",
        num_retries: 2,
        retry_back_off: { base_interval: "0.001s" },
        ...(id === "slower" ? { per_try_timeout: "0.2s" } : {}),
      },
    },
    ...(fault && {
      metadata: {
        typed_filter_metadata: {
          [TRY_FAULT_METADATA_KEY]: {
            "@type": `${TYPE}google.protobuf.BytesValue`,
            value: Buffer.from(encodeFault(fault)).toString("base64"),
          },
        },
      },
    }),
  };
}

function cluster({ host, port }: Backend): object {
  const codec = {
    name: "codec",
    typed_config: { "@type": `${TYPE}envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec` },
  };
  return {
    name: "backend",
    type: "STATIC",
    load_assignment: {
      cluster_name: "backend",
      endpoints: [
        { lb_endpoints: [{ endpoint: { address: { socket_address: { address: host, port_value: port } } } }] },
      ],
    },
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": `${TYPE}envoy.extensions.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http_protocol_options: {} },
        http_filters: [staticFilter({ name: TRY_FILTER_NAME, module: TRY_MODULE }), codec],
      },
    },
  };
}

beforeAll(async () => {
  backend = await startBackend(scope, "one");
  const rules: PolicyRule[] = [
    ...Object.entries(faults).map(([id, fault]) => ({
      matches: [match({ uri: prefix(`/${id}/`) })],
      destinations: [{ route: id, weight: 1 }],
      fault,
    })),
    { matches: [], destinations: [{ route: "sound", weight: 1 }] },
  ];
  envoy = await startTrafficEnvoy(scope, [ruledHost("all", ["*"], rules, route)], { clusters: [cluster(backend)] });
});

/** Status, and how many retries that took. */
async function retried(path: string): Promise<{ status: number; retries: number }> {
  const before = await envoy.stat("cluster.backend.upstream_rq_retry");
  const { status } = await ask(envoy.url + path);
  return { status, retries: (await envoy.stat("cluster.backend.upstream_rq_retry")) - before };
}

test("A route without a fault is left alone", async () => {
  expect(await retried("/")).toEqual({ status: 200, retries: 0 });
});

test("An abort replaces the answer to every try, and nothing of what the backend said gets through", async () => {
  const before = backend.requests.length;
  const answer = await ask(`${envoy.url}/broken/`);
  expect(answer).toMatchObject({ status: 503, body: "", complete: true });
  expect(backend.requests.length).toBe(before + 3);
  expect(await retried("/broken/")).toEqual({ status: 503, retries: 2 });
});

test("An abort with a gRPC status is retried by that status", async () => {
  const before = backend.requests.length;
  const answer = await ask(`${envoy.url}/grpc/`, { headers: { "content-type": "application/grpc" } });
  expect(answer).toMatchObject({ status: 200, body: "" });
  expect(answer.headers).toMatchObject({ "grpc-status": "14", "content-type": "application/grpc" });
  expect(backend.requests.length).toBe(before + 3);
});

test("Tries are drawn for one by one, so retries overcome aborts", async () => {
  let succeeded = 0;
  for (let i = 0; i < 200; i++) if ((await ask(`${envoy.url}/half/`)).status === 200) succeeded++;
  // Seven of eight, and six standard deviations.
  expect(Math.abs(succeeded - 175)).toBeLessThan(29);
});

test("A delay holds a try, and counts against the time that a try has", async () => {
  const start = performance.now();
  expect(await retried("/slow/")).toEqual({ status: 200, retries: 0 });
  expect(performance.now() - start).toBeGreaterThanOrEqual(400);
  expect(await retried("/slower/")).toEqual({ status: 504, retries: 2 });
});
