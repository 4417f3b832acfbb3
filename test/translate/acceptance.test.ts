// What goldens show is what Envoy takes: each case's resources are served to a real one, which must reject none.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createBootstrap } from "../../controlplane/agent/bootstrap.js";
import { packagePath } from "../../controlplane/agent/package-root.js";
import { nextSnapshot } from "../../controlplane/publish/snapshots.js";
import { Translator } from "../../controlplane/translate/translate.js";
import { SnapshotCache } from "../../controlplane/xds/cache.js";
import { type AdsServer, createAdsServer } from "../../controlplane/xds/server.js";
import { startTestEnvoy } from "../harness/envoy.js";
import { createScope, testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { type GoldenCase, readGoldenCase } from "./golden.js";

const scope = testScope();
const directory = join(import.meta.dirname, "testdata");
const cases = readdirSync(directory).filter((file) => file.endsWith(".in.yaml"));
const cache = new SnapshotCache();
let server: AdsServer;
let port: number;

beforeAll(async () => {
  server = scope.use(createAdsServer({ cache, onConnect: (node) => ({ key: node.id }) }));
  port = Number((await server.listen("127.0.0.1:0")).split(":")[1]);
});

/** Publishes the case and gives the types that it has resources of. */
function publish({ mesh, proxy }: GoldenCase): string[] {
  const wasm = readFileSync(packagePath("build", "traffic.wasm"));
  const tryFilter = readFileSync(packagePath("build", "try.wasm"));
  const translator = new Translator({ trafficFilter: { wasm }, tryFilter });
  const snapshot = nextSnapshot(undefined, translator.translate(mesh, proxy));
  cache.set(proxy.id, snapshot);
  return [...snapshot.resources.keys()];
}

function bootstrapOf({ proxy, node }: GoldenCase): object {
  const identity = { role: proxy.role, name: "x", namespace: "x", addresses: ["127.0.0.1"] as const, labels: {} };
  const bootstrap = createBootstrap(
    { ...identity, addresses: ["127.0.0.1"], interceptionMode: "NONE", unprivileged: true },
    { ads: { host: "127.0.0.1", port } },
  );
  const { locality } = proxy;
  return {
    ...bootstrap,
    node: {
      ...node,
      cluster: "golden",
      locality: { region: locality.region, zone: locality.zone, sub_zone: locality.subZone },
    },
  };
}

describe("a real Envoy", () => {
  it.each(cases)("takes every resource of %s", async (file) => {
    const own = createScope();
    try {
      const golden = readGoldenCase(join(directory, file));
      const published = publish(golden);
      await startTestEnvoy(own, bootstrapOf(golden));
      const types = await eventually("all types are answered", () => {
        const status = server.status().find((candidate) => candidate.key === golden.proxy.id);
        return (
          status?.types.every((type) => type.state !== "stale") &&
          status.types.length >= published.length &&
          status.types
        );
      });
      expect(types.map((type) => type.typeUrl).sort()).toEqual(published.sort());
      const rejected = types.flatMap((type) => type.error?.message ?? []);
      expect(rejected).toEqual([]);
      expect(types.every((type) => type.state === "synced")).toBe(true);
    } finally {
      await own.close();
    }
  });
});
