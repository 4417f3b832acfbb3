// The policy image's sections while it is being written, in the order of tags.SECTION_*.
import * as tags from "../../filters/policy/tags.js";
import { Bytes, Records, Transitions } from "./image-writer.js";

export type Sections = ReturnType<typeof createSections>;

/** Empty sections; the properties' order is the sections' order. */
export function createSections() {
  return {
    bytes: new Bytes(),
    slots: new Records(tags.SLOT_STRIDE),
    names: new Records(tags.NAME_STRIDE),
    exacts: new Records(tags.EXACT_STRIDE),
    nodes: new Records(tags.NODE_STRIDE),
    edges: new Records(tags.EDGE_STRIDE),
    keys: new Records(tags.KEY_STRIDE),
    candidates: new Records(tags.CANDIDATE_STRIDE),
    tables: new Records(tags.TABLE_STRIDE),
    tuples: new Records(tags.TUPLE_STRIDE),
    clauses: new Records(tags.CLAUSE_STRIDE),
    conditions: new Records(tags.CONDITION_STRIDE),
    regexes: new Records(tags.REGEX_STRIDE),
    dfas: new Records(tags.DFA_STRIDE),
    transitions: new Transitions(),
    rules: new Records(tags.RULE_STRIDE),
    destinations: new Records(tags.DESTINATION_STRIDE),
    routes: new Records(tags.ROUTE_STRIDE),
    faults: new Records(tags.FAULT_STRIDE),
    rollouts: new Records(tags.ROLLOUT_STRIDE),
    ramps: new Records(tags.RAMP_STRIDE),
    weights: new Records(tags.WEIGHT_STRIDE),
    overrides: new Records(tags.OVERRIDE_STRIDE),
    labels: new Records(tags.LABEL_STRIDE),
  };
}
