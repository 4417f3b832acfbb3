// Several sources as one: the first that has an object of a key wins.
import type { AnyResource } from "../resources/kinds.js";
import { resourceKey } from "../resources/resource.js";
import type { Violation } from "../resources/violation.js";
import { violationAt } from "../resources/violation-at.js";
import type { Source, SourceState } from "./source.js";

/** Earlier sources go before later ones. Starts when all have started, fails when one fails. */
export function createMergedSource(sources: readonly Source[]): Source {
  const [only] = sources;
  if (only !== undefined && sources.length === 1) return only;
  const states: SourceState[] = [];
  let current: SourceState | undefined;

  /** Of objects that more than one source has. */
  const duplicates = new Map<string, readonly Violation[]>();

  function merge(changed: ReadonlySet<string>): SourceState {
    const resources = new Map(current?.resources);
    const differing = new Set<string>();
    for (const key of changed) {
      const [served, ...others] = states.flatMap((state) => state.resources.get(key) ?? []);
      if (others.length > 0) duplicates.set(key, others.map(duplicate));
      else duplicates.delete(key);
      if (resources.get(key) === served) continue;
      differing.add(key);
      if (served === undefined) resources.delete(key);
      else resources.set(key, served);
    }
    const violations = [...states.flatMap((state) => state.violations), ...[...duplicates.values()].flat()];
    current = Object.freeze({ resources, violations, changed: differing });
    return current;
  }

  return {
    async start(onChange) {
      let started = false;
      const first = await Promise.all(
        sources.map((source, index) =>
          source.start((state) => {
            states[index] = state;
            if (started) onChange(merge(state.changed));
          }),
        ),
      );
      for (const [index, state] of first.entries()) states[index] ??= state;
      started = true;
      return merge(new Set(states.flatMap((state) => [...state.resources.keys()])));
    },
    async close() {
      await Promise.all(sources.map((source) => source.close()));
    },
  };
}

function duplicate(resource: AnyResource): Violation {
  const message = `${resourceKey(resource)} is defined in an earlier source of configuration too, which wins: remove one of the two.`;
  return violationAt(resource, "duplicate-object", "error", ["metadata", "name"], message);
}
