// A proxy that connects is published to, whatever becomes of its earlier streams meanwhile.
import { expect, test } from "vitest";
import { type Proxy, parseNode } from "../../controlplane/proxy/proxy.js";
import { Publisher } from "../../controlplane/publish/publisher.js";
import { SnapshotCache } from "../../controlplane/xds/cache.js";

const id = "sidecar~127.0.0.1~app.default~default.svc.cluster.local";

function stage() {
  const cache = new SnapshotCache();
  const publisher = new Publisher({
    cache,
    mesh: { rootNamespace: "istio-system" },
    translate: { trafficFilter: { wasm: new Uint8Array([0, 97, 115, 109]) } },
    onFault: (_, error) => {
      throw error;
    },
  });
  return { cache, publisher };
}

function sidecar(labels: Record<string, string>, more: object = {}): Proxy {
  const parsed = parseNode({ id, metadata: { LABELS: labels, ...more } }, "delta");
  if ("error" in parsed) throw new Error(parsed.error);
  return parsed.proxy;
}

test("A proxy whose old stream ends while its new one is let in gets its snapshot", async () => {
  const { cache, publisher } = stage();
  const connected = publisher.connect(sidecar({}));
  publisher.disconnect(id);
  await connected;
  expect(cache.get(id)).toBeDefined();
  expect(publisher.proxies.has(id)).toBe(true);
});

test("Of two streams that connect at once, the later one's word of the proxy stands", async () => {
  const { publisher } = stage();
  await Promise.all([publisher.connect(sidecar({ version: "v1" })), publisher.connect(sidecar({ version: "v2" }))]);
  expect(publisher.proxies.get(id)?.labels).toEqual({ version: "v2" });
});

test("An Envoy that another takes over from does not speak for the proxy when it comes back, until the other is gone", async () => {
  const { publisher } = stage();
  const [former, next] = [sidecar({ track: "old" }, { SINCE: "1000" }), sidecar({ track: "new" }, { SINCE: "2000" })];
  const connected = async (proxy: Proxy) => {
    await publisher.connect(proxy);
    return publisher.proxies.get(id)?.labels.track;
  };
  expect([await connected(former), await connected(next), await connected(former)]).toEqual(["old", "new", "new"]);
  publisher.disconnect(id);
  expect(await connected(former)).toBe("old");
  expect(await connected(sidecar({ track: "unknown" }, { SINCE: "soon" }))).toBe("old");
});
