// The versions of filters that extensions name: what the registry must keep for them.
import type { Extension } from "../mesh/extensions.js";
import type { Pin } from "../registry/pins.js";

/** In an order that depends on nothing but the extensions. */
export function pinsOf(extensions: readonly Extension[]): readonly Pin[] {
  return extensions
    .flatMap(({ kind, meta, spec: { wasm } }) => {
      if (wasm?.source.type !== "registry" || wasm.source.version === undefined) return [];
      const { filter, version } = wasm.source;
      return [{ filter, version, by: `${kind} ${meta.namespace}/${meta.name}` }];
    })
    .sort((a, b) => (a.by < b.by ? -1 : 1));
}
