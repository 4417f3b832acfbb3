// Says why a request was decided as it was: exports that Envoy never calls, for the host in Node.
import { holds } from "./match/decide";
import { record } from "./policy/image";
import * as tags from "./policy/tags";
import { seedRandom } from "./rollout/random";

let decidedImage: usize = 0;
let decidedClause: i32 = tags.NONE;
let decidedDestination: u32 = 0;

/** Remembers the latest decision; clause is NONE when none held. */
export function noteMatch(image: usize, clause: i32): void {
  decidedImage = image;
  decidedClause = clause;
}

/** index: within the rule. */
export function noteDestination(index: u32): void {
  decidedDestination = index;
}

/** Makes the draws that follow repeatable. */
export function headgate_seed(seed: u64): void {
  seedRandom(seed);
}

/** The clause that held for the latest request, or NONE. */
export function headgate_clause(): i32 {
  return decidedClause;
}

/** The index of the destination that was chosen then, within its rule. */
export function headgate_destination(): u32 {
  return decidedDestination;
}

/** The index, within the clause, of the first condition that the latest request does not meet, or NONE. */
export function headgate_unmet_condition(index: u32): i32 {
  const clause = record(decidedImage, tags.SECTION_CLAUSES, index, tags.CLAUSE_STRIDE);
  const first = load<u32>(clause, tags.CLAUSE_CONDITIONS);
  for (let i = first, end = load<u32>(clause, tags.CLAUSE_END); i < end; i++)
    if (!holds(decidedImage, record(decidedImage, tags.SECTION_CONDITIONS, i, tags.CONDITION_STRIDE))) return i - first;
  return tags.NONE;
}
