// Whatever is edited in whatever order, what proxies are given is what a translation of the final state alone would give.
import { createHash } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { buildMesh } from "../../controlplane/mesh/mesh.js";
import { type Proxy, parseNode } from "../../controlplane/proxy/proxy.js";
import { Publisher } from "../../controlplane/publish/publisher.js";
import type { AnyResource } from "../../controlplane/resources/kinds.js";
import type { SourceState } from "../../controlplane/sources/source.js";
import { translate } from "../../controlplane/translate/translate.js";
import { SnapshotCache } from "../../controlplane/xds/cache.js";
import type { Snapshot } from "../../controlplane/xds/snapshot.js";
import { createAuthority } from "../harness/certificates.js";
import { createWorld, decodeVersion, type Edit, keyOf, scripts, type World } from "./edits.js";

const MODULE = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
const OPTIONS = { trafficFilter: { wasm: MODULE }, tryFilter: MODULE };
/** More of them find rarer faults. */
const SCRIPTS = Number(process.env.HEADGATE_EDIT_SCRIPTS ?? 60);
const MESH = { rootNamespace: "istio-system" };

const PROXIES: readonly Proxy[] = [
  proxy("sidecar~10.1.0.1~a-1.default~x", { LABELS: { app: "a", version: "v1" } }),
  proxy("sidecar~10.5.0.1~client-1.default~x", { LABELS: { app: "client", rack: "r1" } }),
  proxy("sidecar~10.5.0.2~client-2.default~x", { LABELS: { app: "client" }, INTERCEPTION_MODE: "NONE" }, "sotw"),
  proxy("sidecar~10.4.0.1~other-1.other~x", { LABELS: { app: "other" } }),
  proxy("sidecar~10.5.0.3~far-1.default~x", { LABELS: { app: "far" } }, "delta", { region: "eu", zone: "a" }),
  proxy("sidecar~10.5.0.4~far-2.default~x", { LABELS: { app: "far" } }, "delta", { region: "us", zone: "b" }),
  proxy("router~10.6.0.1~gw-1.default~x", { LABELS: { istio: "gw" } }),
  proxy("router~10.6.0.2~gw-2.other~x", { LABELS: { istio: "gw" } }, "sotw"),
];

function proxy(
  id: string,
  metadata: object,
  protocol: "delta" | "sotw" = "delta",
  locality?: { region: string; zone: string },
): Proxy {
  const parsed = parseNode({ id, metadata, ...(locality ? { locality: { ...locality, subZone: "" } } : {}) }, protocol);
  if ("error" in parsed) throw new Error(parsed.error);
  return parsed.proxy;
}

let world: World;

beforeAll(async () => {
  const authority = await createAuthority("test");
  const [one, two] = [await authority.issue(["one.example.com"]), await authority.issue(["two.example.com"])];
  world = createWorld(authority.certificate, one, two);
});

test("every version of every object is without error", () => {
  for (const [object, versions] of world.objects) {
    for (const version of versions.keys())
      expect(decodeVersion(world, { object, version }).kind).toBe(object.split(" ")[0]);
  }
});

describe("after any edits, in any steps", () => {
  test("each proxy has what a translation from nothing gives, byte for byte, and the same faults are told", async () => {
    await fc.assert(
      fc.asyncProperty(scripts(world, 12), fc.infiniteStream(fc.nat(PROXIES.length - 1)), async (script, moves) => {
        const editing = new Editing();
        await editing.apply(script.beginning);
        for (const connecting of PROXIES.slice(0, -1)) await editing.publisher.connect(connecting);
        for (const step of script.steps) {
          await editing.apply(step);
          await editing.move(PROXIES[moves.next().value ?? 0] as Proxy);
          editing.check();
        }
      }),
      { numRuns: SCRIPTS, seed: 20_260_101 },
    );
  });
});

/** A publisher that follows edits, as the sources would bring them. */
class Editing {
  readonly cache = new SnapshotCache();
  readonly publisher = new Publisher({
    cache: this.cache,
    mesh: MESH,
    translate: OPTIONS,
    onFault: (_, error) => {
      throw error;
    },
  });
  #resources: ReadonlyMap<string, AnyResource> = new Map();

  async apply(script: readonly Edit[]): Promise<void> {
    const resources = new Map(this.#resources);
    const changed = new Set<string>();
    for (const edit of script) {
      const key = keyOf(edit);
      const had = resources.delete(key);
      if (edit.version !== undefined) resources.set(key, decodeVersion(world, edit));
      if (had || edit.version !== undefined) changed.add(key);
    }
    this.#resources = resources;
    await this.publisher.update({ resources, changed, violations: [] } satisfies SourceState);
  }

  /** The proxy comes or goes. */
  async move(moving: Proxy): Promise<void> {
    if (this.publisher.proxies.has(moving.id)) this.publisher.disconnect(moving.id);
    else await this.publisher.connect(moving);
  }

  check(): void {
    const fresh = buildMesh(this.#resources.values(), MESH);
    for (const connected of this.publisher.proxies.values()) {
      const expected = translate(fresh, connected, OPTIONS).map((resource) =>
        describeResource(resource.typeUrl, resource),
      );
      expect(describeSnapshot(this.cache.get(connected.id)), connected.id).toEqual(expected.sort());
    }
    expect(this.publisher.mesh.violations).toEqual(fresh.violations);
  }
}

function describeSnapshot(snapshot: Snapshot | undefined): string[] {
  return [...(snapshot?.resources ?? [])]
    .flatMap(([typeUrl, resources]) => [...resources.values()].map((resource) => describeResource(typeUrl, resource)))
    .sort();
}

function describeResource(typeUrl: string, { name, version, any }: { name: string; version: string; any: Uint8Array }) {
  return `${typeUrl} ${name} ${version} ${createHash("sha256").update(any).digest("hex").slice(0, 16)}`;
}
