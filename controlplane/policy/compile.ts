// The policy compiler: one host's rules, as one proxy sees them -> the policy image that the filter reads.
//
// What translate does with the result: the host's undecided Route (the matcher's on_no_match) gets
// name: undecidedRouteName(compiled), and metadata.typed_filter_metadata[IMAGE_METADATA_KEY] = Any(BytesValue(image));
// the host's matcher is an exact_match_map on filter state ROUTE_FILTER_STATE, with one entry for each route id that
// the rules name. The filter (FILTER_NAME) finds the rest by itself.
//
// A fault with perTry is not in the image but left to the upstream filter: the routes of its rule get
// metadata.typed_filter_metadata[TRY_FAULT_METADATA_KEY] = Any(BytesValue(encodeFault(fault))), and the clusters they go
// to get build/try.wasm as an upstream HTTP filter, before the codec, with name, root_id and vm_id TRY_FILTER_NAME.
import { ROUTE_NAME_PREFIX } from "../../filters/policy/tags.js";
import { type Clause, type PolicyProblem, readClauses } from "./clauses.js";
import { encodeImage } from "./image-writer.js";
import { writeIndex } from "./index-sections.js";
import { Inputs } from "./inputs.js";
import { narrow } from "./narrow.js";
import { writeOutcomes } from "./outcome-sections.js";
import type { PolicyRule } from "./rule.js";
import { createSections } from "./sections.js";
import { finish, type Steps } from "./steps.js";

export {
  FILTER_NAME,
  IMAGE_METADATA_KEY,
  ROUTE_FILTER_STATE,
  TRY_FAULT_METADATA_KEY,
  TRY_FILTER_NAME,
} from "../../filters/policy/tags.js";
export type { PolicyProblem } from "./clauses.js";
export { encodeFault } from "./outcome-sections.js";

export interface CompiledPolicy {
  /** The image, as docs/policy-format.md describes it. */
  readonly image: Uint8Array;
  /** The image's identity: 32 lower-case hexadecimal digits. Same rules, same hash. */
  readonly hash: string;
  /** The image's clauses: what a clause and a condition of that index stand for. */
  readonly clauses: readonly Clause[];
}

export interface Compilation {
  readonly compiled?: CompiledPolicy;
  readonly problems: readonly PolicyProblem[];
}

/**
 * Compiles rules, in their order. Pure and deterministic. Without problems compiled is there; with problems, which are
 * mistakes of the rules' author, it is not.
 */
export function compilePolicy(rules: readonly PolicyRule[]): Compilation {
  return finish(compilePolicyInSteps(rules));
}

/** The same, for thousands of rules. */
export function* compilePolicyInSteps(rules: readonly PolicyRule[]): Steps<Compilation> {
  const inputs = new Inputs();
  const problems: PolicyProblem[] = [];
  const clauses = yield* readClauses(rules, inputs, problems);
  if (problems.length > 0) return { problems };
  const sections = createSections();
  const overrides = writeOutcomes(rules, inputs, sections);
  const numbers = inputs.number();
  overrides(numbers);
  yield;
  const index = narrow(clauses, numbers);
  yield;
  const header = yield* writeIndex({ inputs, numbers, index }, sections);
  return { compiled: { ...encodeImage(header, Object.values(sections)), clauses: index.clauses }, problems };
}

/** The name of the Route that carries the image. */
export function undecidedRouteName(compiled: Pick<CompiledPolicy, "hash">): string {
  return ROUTE_NAME_PREFIX + compiled.hash;
}
