// What a mesh keeps of those before it: control planes run for months, and make a mesh for each change.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { buildMesh, changeMesh, type Mesh } from "../../controlplane/mesh/mesh.js";
import { decodeObject } from "../../controlplane/resources/decode.js";
import type { AnyResource } from "../../controlplane/resources/kinds.js";
import { eventually } from "../harness/waiting.js";

const KEY = "VirtualService/default/reviews";

function virtualService(weight: number): AnyResource {
  const route = [{ destination: { host: "reviews" }, weight }];
  const value = {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "reviews", namespace: "default" },
    spec: { hosts: ["reviews"], http: [{ route }] },
  };
  const { resource } = decodeObject({ value, locate: () => undefined }, "default");
  if (!resource) throw new Error("the object has a fault");
  return resource;
}

/** A mesh after some changes, and its predecessors, held weakly. */
function changeOften(): { last: Mesh; before: WeakRef<Mesh>[] } {
  const before: WeakRef<Mesh>[] = [];
  let last = buildMesh([virtualService(0)], { rootNamespace: "istio-system" });
  for (let weight = 1; weight <= 5; weight++) {
    before.push(new WeakRef(last));
    last = changeMesh(last, new Map([[KEY, virtualService(weight)]]), new Set([KEY]));
  }
  return { last, before };
}

test("A mesh keeps none of those before it", async () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const { last, before } = changeOften();
  await eventually("the meshes before are gone", () => {
    collectGarbage();
    return before.every((mesh) => mesh.deref() === undefined);
  });
  expect(last.violations.map(({ code }) => code)).toEqual(["unknown-host"]);
});
