// Counting who has acknowledged what, in whatever order states, answers and rejections come.
import { beforeEach, describe, expect, test } from "vitest";
import { Acknowledgements } from "../../controlplane/kube-status/acknowledgements.js";
import type { Mesh } from "../../controlplane/mesh/mesh.js";
import type { Proxy } from "../../controlplane/proxy/proxy.js";
import { Revisions } from "../../controlplane/publish/revisions.js";
import type { AnyResource } from "../../controlplane/resources/kinds.js";
import { resourceKey } from "../../controlplane/resources/resource.js";
import type { ProxyStatus } from "../../controlplane/xds/status.js";
import { meshOf, objectsOf, proxyOf } from "./support/objects.js";

const CLUSTERS = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

describe("acknowledgements", () => {
  let revisions: Revisions;
  let acknowledgements: Acknowledgements;
  let proxies: Map<string, Proxy>;
  let mesh: Mesh;
  let changes: number;
  /** What stands rejected, by proxy: the version of the response. */
  let rejected: Map<string, string>;
  let objects: readonly AnyResource[];

  beforeEach(() => {
    [revisions, proxies, mesh, changes, rejected, objects] = [new Revisions(), new Map(), meshOf([]), 0, new Map(), []];
    acknowledgements = new Acknowledgements({
      publisher: {
        get mesh() {
          return mesh;
        },
        proxies,
      },
      revisions,
      statuses: (proxy) => [statusWith(rejected.get(proxy))],
      onChange: () => void changes++,
    });
  });

  /** As the control plane does: the proxies that a state touches, then its revision, then who is told of it. */
  function publish(touched: readonly Proxy[], ...changed: readonly string[]): void {
    const names = new Set([...objects.map(({ meta }) => meta.name), ...changed]);
    objects = [...names].flatMap(
      (name) => objects.find(({ meta }) => meta.name === name && !changed.includes(name)) ?? objectsOf(entry(name)),
    );
    const resources = new Map(objects.map((object) => [resourceKey(object), object]));
    mesh = meshOf(objects);
    for (const { id } of touched) revisions.touched(id);
    const state = {
      resources,
      violations: [],
      changed: new Set(changed.map((name) => `ServiceEntry/default/${name}`)),
    };
    revisions.published(undefined, state, () => 0);
    acknowledgements.taken(state, () => true);
  }
  function connect(name: string): Proxy {
    const proxy = proxyOf(name);
    proxies.set(proxy.id, proxy);
    revisions.connected(proxy.id);
    acknowledgements.event({ type: "connect", key: proxy.id, nodeId: proxy.id, peer: "", protocol: "delta" });
    return proxy;
  }
  function answer({ id }: Proxy): void {
    revisions.settled(id);
    acknowledgements.event({ type: "answered", key: id });
  }
  function reject({ id }: Proxy, version: string, names: readonly string[]): void {
    rejected.set(id, version);
    const response = { key: id, typeUrl: CLUSTERS, version, nonce: version };
    acknowledgements.event({ type: "nack", ...response, error: "no good", names });
  }
  async function counts(): Promise<Record<string, string>> {
    const found = [...(await acknowledgements.count())].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(
      found.map(([key, { acknowledged, concerned, rejected, error }]) => [
        key.split("/")[2],
        `${acknowledged} of ${concerned}${rejected > 0 ? `, ${rejected}: ${error}` : ""}`,
      ]),
    );
  }

  test("count a proxy from when it has taken in its first configuration", async () => {
    publish([], "a");
    const one = connect("one");
    expect(await counts()).toEqual({});
    answer(one);
    expect(changes).toBe(1);
    expect(await counts()).toEqual({ a: "1 of 1" });
    connect("two");
    expect(await counts()).toEqual({ a: "1 of 1" });
    acknowledgements.gone(one.id);
    expect(await counts()).toEqual({});
    expect(changes).toBe(2);
  });

  test("tell a policy that is still on its way from one that was acknowledged before", async () => {
    publish([], "a", "b");
    const [one, two] = [connect("one"), connect("two")];
    answer(one);
    answer(two);
    publish([one, two], "b");
    answer(two);
    expect(await counts()).toEqual({ a: "2 of 2", b: "1 of 2" });
    const before = changes;
    answer(one);
    expect(changes).toBe(before + 1);
    expect(await counts()).toEqual({ a: "2 of 2", b: "2 of 2" });
    // A later change of anything else takes nothing back, and its answer is no news.
    publish([one]);
    expect(await counts()).toEqual({ a: "2 of 2", b: "2 of 2" });
    answer(one);
    expect(changes).toBe(before + 1);
  });

  test("lay a rejection at the policy that the resource's name has in it, until it no longer stands", async () => {
    publish([], "a", "b");
    const one = connect("one");
    answer(one);
    publish([one], "a", "b");
    reject(one, "7", ["outbound|80||a.example.com"]);
    answer(one);
    expect(await counts()).toEqual({ a: "0 of 1, 1: no good", b: "1 of 1" });
    // Another rejection of the type takes its place in what stands; this one is over.
    rejected.set(one.id, "8");
    expect(await counts()).toEqual({ a: "1 of 1", b: "1 of 1" });
  });

  test("lay a rejection at all that changed with it, where no name tells, and at nothing that was there before", async () => {
    publish([], "a", "b", "c");
    const one = connect("one");
    answer(one);
    publish([one], "a", "b");
    reject(one, "7", []);
    answer(one);
    expect(await counts()).toEqual({ a: "0 of 1, 1: no good", b: "0 of 1, 1: no good", c: "1 of 1" });
    publish([one], "a");
    expect(await counts()).toEqual({ a: "0 of 1", b: "0 of 1, 1: no good", c: "1 of 1" });
  });

  test("lay a rejection while no policy has changed at the one that the name tells of, or at none", async () => {
    publish([], "a", "b");
    const one = connect("one");
    answer(one);
    reject(one, "7", ["outbound|80||a.example.com"]);
    expect(await counts()).toEqual({ a: "0 of 1, 1: no good", b: "1 of 1" });
    reject(one, "8", ["outbound|80||c.example.com"]);
    expect(await counts()).toEqual({ a: "1 of 1", b: "1 of 1" });
  });

  test("lay a rejection that comes before the last proxy is published to at what is being published", async () => {
    publish([], "a", "b");
    const one = connect("one");
    answer(one);
    revisions.touched(one.id);
    reject(one, "7", []);
    answer(one);
    publish([], "b");
    expect(await counts()).toEqual({ a: "1 of 1", b: "0 of 1, 1: no good" });
  });
});

function entry(name: string): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec: {hosts: [${name}.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC}
`;
}

function statusWith(version: string | undefined): ProxyStatus {
  const error = version === undefined ? {} : { error: { message: "no good", at: 0, version, names: [] } };
  const type = {
    typeUrl: CLUSTERS,
    wildcard: true,
    names: [],
    resources: 0,
    rejections: 1,
    state: "rejected" as const,
  };
  const versions = { targetVersion: "", sentVersion: "", acknowledgedVersion: "", nonce: "" };
  const types = [{ ...type, ...versions, ...error }];
  return { key: "", nodeId: "", peer: "", protocol: "delta", connectedAt: 0, types };
}
