// Says which fields of Istio's API a behaviour test covers: docs/api-support.md names the test beside each of them.
import { listSupport } from "../../controlplane/resources/support.js";

const known = new Set(listSupport().map(({ kind, path }) => `${kind} ${path}`));

/**
 * Declares that the enclosing test shows these fields' effects on traffic. It stands first in the body of an `it(...)`
 * whose title is a literal, and its arguments are literals, because it is found by reading the test's source and not by
 * running it. Fields are spelled as `npm run docs:api -- --list` prints them: the path below spec, [] for each entry of
 * a list, {} for each value of a map. Throws on a field that the kind does not have.
 */
export function covers(kind: string, ...fields: readonly string[]): void {
  const strange = fields.filter((field) => !known.has(`${kind} spec.${field}`));
  if (strange.length > 0) throw new Error(`${kind} has no field ${strange.join(", ")}; see npm run docs:api -- --list`);
}
