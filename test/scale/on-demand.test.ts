// What docs/decisions/0020 rests on: how a real Envoy behaves that asks for virtual hosts and clusters when it needs them.
import { expect, test } from "vitest";
import { writeServices } from "../../bench/ads/services.js";
import { measureForm } from "../../bench/on-demand/measurement.js";
import { loopbackAddress } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();

test("On demand hosts with rules are served at once, unknown ones are refused, and new ones wait for a control plane that is away", async () => {
  const directory = await scope.directory();
  const [one, two, three] = [
    await startBackend(scope, "one"),
    await startBackend(scope, "two"),
    await startBackend(scope, "three"),
  ].map(({ host, port }) => ({ address: host, port }));
  if (!one || !two || !three) throw new Error("a backend is missing");
  await writeServices(directory, 10, [one, two, three]);
  const place = { directory, address: await loopbackAddress(scope), scope: 6 };
  const figures = await measureForm("on demand", { ...place, used: 5, unknown: 3 });
  expect(figures).toMatchObject({
    unknownStatus: 404,
    awayUsed: 200,
    awayNew: "none in 3 s",
    backUsed: 200,
    backNew: 200,
  });
});
