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

  function merge(changed: ReadonlySet<string>): SourceState {
    const resources = new Map<string, AnyResource>();
    const violations: Violation[] = [];
    for (const state of states) {
      violations.push(...state.violations);
      for (const [key, resource] of state.resources) {
        if (resources.has(key)) violations.push(duplicate(resource));
        else resources.set(key, resource);
      }
    }
    const before = current?.resources;
    const differing = [...changed].filter((key) => before?.get(key) !== resources.get(key));
    current = Object.freeze({ resources, violations, changed: new Set(differing) });
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
