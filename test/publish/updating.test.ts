// What a change of the sources comes to for proxies: those that it concerns are published to, and nobody else.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { buildMesh, type Mesh } from "../../controlplane/mesh/mesh.js";
import { type Proxy, parseNode } from "../../controlplane/proxy/proxy.js";
import { Publisher } from "../../controlplane/publish/publisher.js";
import { Updates } from "../../controlplane/publish/updates.js";
import { decodeObject } from "../../controlplane/resources/decode.js";
import type { SourceState } from "../../controlplane/sources/source.js";
import { Memo } from "../../controlplane/translate/memo.js";
import { Translator } from "../../controlplane/translate/translate.js";
import { SnapshotCache } from "../../controlplane/xds/cache.js";
import { eventually } from "../harness/waiting.js";

const MESH = { rootNamespace: "istio-system" };
const OPTIONS = { trafficFilter: { wasm: new Uint8Array([0, 97, 115, 109]) } };

function sidecar(name: string, namespace: string): Proxy {
  const parsed = parseNode({ id: `sidecar~10.0.0.1~${name}.${namespace}~x` }, "delta");
  if ("error" in parsed) throw new Error(parsed.error);
  return parsed.proxy;
}

/** A service that the namespace "default" alone sees, on a port. */
function stateWith(port: number): SourceState {
  const value = {
    apiVersion: "networking.istio.io/v1",
    kind: "ServiceEntry",
    metadata: { name: "own", namespace: "default" },
    spec: { hosts: ["own.example.com"], exportTo: ["."], ports: [{ number: port, name: "http", protocol: "HTTP" }] },
  };
  const { resource } = decodeObject({ value, locate: () => undefined }, "default");
  if (!resource) throw new Error("the object has a fault");
  const key = "ServiceEntry/default/own";
  return { resources: new Map([[key, resource]]), changed: new Set([key]), violations: [] };
}

async function stage(...proxies: readonly Proxy[]) {
  const cache = new SnapshotCache();
  const publisher = new Publisher({
    cache,
    mesh: MESH,
    translate: OPTIONS,
    onFault: (_, error) => {
      throw error;
    },
  });
  await publisher.update(stateWith(80));
  for (const proxy of proxies) await publisher.connect(proxy);
  return { cache, publisher };
}

test("A change sets the snapshots of those whom it concerns alone", async () => {
  const [near, far] = [sidecar("near", "default"), sidecar("far", "other")];
  const { cache, publisher } = await stage(near, far);
  const set: string[] = [];
  for (const { id } of [near, far]) cache.watch(id, () => set.push(id));
  expect(await publisher.update(stateWith(81))).toEqual([near.id]);
  expect(set).toEqual([near.id]);
  expect(await publisher.update(stateWith(81))).toEqual([]);
  expect(set).toEqual([near.id]);
});

test("A proxy that went, be it while a change is published, has no snapshot", async () => {
  const [early, late] = [sidecar("early", "default"), sidecar("late", "default")];
  const { cache, publisher } = await stage(early, late);
  const touched = await publisher.update(stateWith(81), (id) => {
    if (id === early.id) publisher.disconnect(late.id);
  });
  expect(touched).toEqual([early.id]);
  expect(cache.get(late.id)).toBeUndefined();
  publisher.disconnect(early.id);
  expect(await publisher.update(stateWith(82))).toEqual([]);
  expect(cache.get(early.id)).toBeUndefined();
});

test("States that come while one is taken become one, with all that changed in them", async () => {
  const taken: (readonly [number, readonly string[]])[] = [];
  let go = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const updates = new Updates(
    async (state) => {
      taken.push([state.resources.size, [...state.changed].sort()]);
      await gate;
    },
    (error) => {
      throw error;
    },
  );
  const change = (...changed: readonly string[]) =>
    updates.offer({ resources: new Map(), changed: new Set(changed), violations: [] });
  const all = [change("a"), change("b"), change("c", "d")];
  go();
  await Promise.all(all);
  expect(taken).toEqual([
    [0, ["a"]],
    [0, ["b", "c", "d"]],
  ]);
});

test("A result that was not asked for between two sweeps is forgotten", () => {
  const memo = new Memo();
  let built = 0;
  const ask = () => memo.of("result", { cheap: [] }, () => ++built);
  expect([ask(), ask()]).toEqual([1, 1]);
  memo.sweep();
  expect(ask()).toBe(1);
  memo.sweep();
  memo.sweep();
  expect(ask()).toBe(2);
});

test("A view that no proxy has any more is forgotten, and the mesh that it saw with it", async () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const translator = new Translator(OPTIONS);
  const translateOnce = (): WeakRef<Mesh> => {
    const mesh = buildMesh(stateWith(80).resources.values(), MESH);
    translator.translate(mesh, sidecar("gone", "other"));
    return new WeakRef(mesh);
  };
  const before = translateOnce();
  const mesh = buildMesh(stateWith(81).resources.values(), MESH);
  translator.translate(mesh, sidecar("near", "default"));
  translator.sweep(mesh);
  await eventually("the mesh before is gone", () => {
    collectGarbage();
    return before.deref() === undefined;
  });
  expect(translator.translate(mesh, sidecar("near", "default")).shared.size).toBeGreaterThan(0);
});
