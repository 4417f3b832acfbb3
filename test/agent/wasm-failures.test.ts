// A filter that Envoy passes by once it has trapped: its failure is counted from the log, since no statistic tells of it.
import { expect, test } from "vitest";
import { startEnvoy } from "../../controlplane/agent/envoy-process.js";
import { packagePath } from "../../controlplane/agent/package-root.js";
import { staticFilter } from "../filter/traffic-envoy.js";
import { freePort } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { testEnvoyBinary } from "../harness/envoy.js";
import { forwardingBootstrap } from "../harness/envoy-bootstrap.js";
import { sendMany } from "../harness/load.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

test("A trap of a filter that fails open is counted, and requests go by the filter", async () => {
  const port = await freePort();
  const bootstrap = forwardingBootstrap({ host: "127.0.0.1", port }, await startBackend(scope, "behind")) as {
    static_resources: { listeners: { filter_chains: { filters: { typed_config: { http_filters: object[] } }[] }[] }[] };
  };
  const filter = staticFilter({ module: packagePath("build", "trapping.wasm") }) as {
    typed_config: { config: { failure_policy: string } };
  };
  filter.typed_config.config.failure_policy = "FAIL_OPEN";
  const chain = bootstrap.static_resources.listeners[0]?.filter_chains[0];
  chain?.filters[0]?.typed_config.http_filters.unshift(filter);
  const admin = { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } };
  const envoy = await startEnvoy({
    bootstrap: { ...bootstrap, admin },
    binary: await testEnvoyBinary(),
    concurrency: 1,
  });
  scope.use({ close: () => envoy.stop() });
  await envoy.ready();
  expect(envoy.wasmFailures).toBe(0);
  const { outcomes } = await sendMany(30, { url: `http://127.0.0.1:${port}/`, concurrency: 1 });
  expect(outcomes).toEqual({ 200: 29, 503: 1 });
  await eventually("the failure is counted", () => envoy.wasmFailures === 1);
});
