// Decodes the valid corpora, and values from nowhere.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Decoded, decodeObject, expandList } from "../../controlplane/resources/decode.js";
import type { AnyResource, Kind } from "../../controlplane/resources/kinds.js";
import { parseYaml } from "../../controlplane/sources/yaml.js";

export const VALID_FILES = ["virtual-service", "destination-rule", "gateway", "service-entry", "sidecar", "kubernetes"];

/** The text of one of VALID_FILES. */
export function validText(name: string): string {
  return readFileSync(fileURLToPath(new URL(`./testdata/valid/${name}.yaml`, import.meta.url)), "utf8");
}

/** The resources in a text, without those that have an error. */
export function decodeText(text: string): AnyResource[] {
  return parseYaml(text, "f.yaml")
    .objects.flatMap((object) => expandList(object))
    .flatMap(({ raw }) => decodeObject(raw, "fallback").resource ?? []);
}

/** The object of that kind and name in one of VALID_FILES. */
export function validResource<K extends Kind>(file: string, kind: K, name: string): Extract<AnyResource, { kind: K }> {
  const found = decodeText(validText(file)).find(
    (candidate) => candidate.kind === kind && candidate.meta.name === name,
  );
  if (found === undefined) throw new Error(`${file} has no ${kind} ${name}.`);
  return found as Extract<AnyResource, { kind: K }>;
}

/** Decodes a value as a source without positions would. */
export function decodeValue(value: unknown): Decoded {
  return decodeObject({ value, locate: () => undefined }, "fallback");
}

/** A VirtualService with as little in it as can be. */
export const SMALL_VIRTUAL_SERVICE = {
  apiVersion: "networking.istio.io/v1",
  kind: "VirtualService",
  metadata: { name: "a" },
  spec: { hosts: ["a"], http: [{ route: [{ destination: { host: "b" } }] }] },
};
