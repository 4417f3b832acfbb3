// How soon an endpoint that is no longer ready gets no more requests, and a new one its share.
import { setTimeout as sleep } from "node:timers/promises";
import { type Backend, startBackend } from "../../test/harness/backend.js";
import { startLoad } from "../../test/harness/load.js";
import { startTestMesh } from "../../test/harness/mesh.js";
import type { Scope } from "../../test/harness/scope.js";
import { eventually } from "../../test/harness/waiting.js";
import type { Cluster } from "../../test/kube/support/cluster.js";
import { ownAddress } from "../../test/kube/support/own-address.js";
import { answered, openShop, SHOP_PORT } from "../../test/kube/support/shop.js";

export interface EndpointFigures {
  /** Milliseconds, the longest of some rounds: from the API server's answer to the last request that came. */
  readonly unready: number;
  /** From the API server's answer to the first request. */
  readonly added: number;
  readonly failed: number;
}

const ROUNDS = 10;
/** Milliseconds in which no request came. */
const QUIET = 1_500;

export async function measureEndpoints(scope: Scope, cluster: Cluster): Promise<EndpointFigures> {
  const shop = await openShop(scope, cluster);
  const mesh = await startTestMesh(scope, { kubernetes: { client: cluster.client } });
  const sidecar = await mesh.startProxy({ name: "client" });
  await answered(sidecar, "v1 v2");
  const url = `http://${sidecar.address}:${SHOP_PORT}/`;
  const load = startLoad({ url, headers: { host: "shop" }, concurrency: 4 });
  const figures = { unready: 0, added: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    await shop.setReady("v2", false);
    const last = followRequests(shop.v2, performance.now());
    await sleep(QUIET);
    figures.unready = Math.max(figures.unready, last());
    await shop.setReady("v2", true);
    await eventually("it is back", () => shop.v2.requests.length > 0);
    const added = await startBackend(scope, `new-${round}`, { host: ownAddress as string });
    await shop.addPod(`new-${round}`, added);
    const since = performance.now();
    await eventually("it is asked", () => added.requests.length > 0);
    figures.added = Math.max(figures.added, performance.now() - since);
  }
  const { outcomes, requests } = await load.stop();
  return { ...figures, failed: requests - (outcomes[200] ?? 0) };
}

/** Tells how long after `since` the last request came. */
function followRequests(backend: Backend, since: number): () => number {
  let last = since;
  backend.behave((request) => {
    last = performance.now();
    return { status: 200, body: JSON.stringify({ backend: request.backend }) };
  });
  backend.requests.length = 0;
  return () => {
    backend.requests.length = 0;
    return last - since;
  };
}
