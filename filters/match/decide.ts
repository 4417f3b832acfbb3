// Which clause matches a request: the index gives candidates, and the lowest clause that holds wins.
import { record, section, sectionCount } from "../policy/image";
import { mixKey } from "../policy/murmur3";
import * as tags from "../policy/tags";
import { filledCount, filledSlot, isPresent, VIEW_EXACT_KEY, VIEW_PREFIX_KEY, viewOf } from "../policy/work";
import { hasPrefix, resolveKeys } from "./keys";
import { matchesRegex } from "./regex";

/** The first clause that holds for the request in the image's views, or NONE. */
export function firstClause(image: usize): i32 {
  const filled = filledCount(image);
  for (let i: u32 = 0; i < filled; i++) resolveKeys(image, filledSlot(image, i));
  const clauses = sectionCount(image, tags.SECTION_CLAUSES);
  let best = tryKey(image, tags.KEY_ALWAYS, clauses);
  for (let i: u32 = 0; i < filled; i++) best = trySlot(image, filledSlot(image, i), best);
  for (let i: u32 = 0, count = sectionCount(image, tags.SECTION_TABLES); i < count; i++)
    best = tryTable(image, record(image, tags.SECTION_TABLES, i, tags.TABLE_STRIDE), best);
  return best === clauses ? tags.NONE : <i32>best;
}

/** Whether one condition holds. */
export function holds(image: usize, condition: usize): bool {
  const operation = load<u32>(condition, tags.CONDITION_OPERATION);
  const negated = (operation & tags.OPERATION_NOT) !== 0;
  return asks(image, condition, operation & (tags.OPERATION_NOT - 1)) !== negated;
}

function asks(image: usize, condition: usize, operation: u32): bool {
  const slot = load<u32>(condition, tags.CONDITION_SLOT);
  const operand = load<i32>(condition, tags.CONDITION_OPERAND);
  if (!isPresent(image, slot)) return false;
  if (operation === tags.OPERATION_EXACT) return load<i32>(viewOf(image, slot), VIEW_EXACT_KEY) === operand;
  if (operation === tags.OPERATION_PREFIX) return hasPrefix(image, slot, operand);
  if (operation === tags.OPERATION_REGEX) return matchesRegex(image, slot, operand);
  return true;
}

/** The clauses found by any one key that a filled slot holds. */
function trySlot(image: usize, slot: u32, best: u32): u32 {
  const view = viewOf(image, slot);
  const exact = load<i32>(view, VIEW_EXACT_KEY);
  if (exact !== tags.NONE) best = tryKey(image, exact, best);
  let prefix = load<i32>(view, VIEW_PREFIX_KEY);
  while (prefix !== tags.NONE) {
    best = tryKey(image, prefix, best);
    prefix = load<i32>(record(image, tags.SECTION_KEYS, prefix, tags.KEY_STRIDE), tags.KEY_PARENT);
  }
  const present = load<i32>(record(image, tags.SECTION_SLOTS, slot, tags.SLOT_STRIDE), tags.SLOT_PRESENT_KEY);
  return present === tags.NONE ? best : tryKey(image, present, best);
}

function tryKey(image: usize, key: u32, best: u32): u32 {
  const description = record(image, tags.SECTION_KEYS, key, tags.KEY_STRIDE);
  return tryCandidates(
    image,
    load<u32>(description, tags.KEY_CANDIDATES),
    load<u32>(description, tags.KEY_CANDIDATE_COUNT),
    best,
  );
}

function tryTable(image: usize, table: usize, best: u32): u32 {
  if (load<u32>(table, tags.TABLE_FIRST_CLAUSE) >= best) return best;
  let hash: u32 = 0;
  for (let i: usize = 0; i < 3; i++) {
    const key = exactKey(image, load<i32>(table + 4 * i, tags.TABLE_EXACT_SLOTS));
    if (key === MISSING) return best;
    hash = mixKey(hash, key);
  }
  const slot = load<i32>(table, tags.TABLE_PREFIX_SLOT);
  if (slot === tags.NONE) return tryTuple(image, table, mixKey(hash, tags.NONE), tags.NONE, best);
  if (!isPresent(image, slot)) return best;
  let prefix = load<i32>(viewOf(image, slot), VIEW_PREFIX_KEY);
  while (prefix !== tags.NONE) {
    best = tryTuple(image, table, mixKey(hash, prefix), prefix, best);
    prefix = load<i32>(record(image, tags.SECTION_KEYS, prefix, tags.KEY_STRIDE), tags.KEY_PARENT);
  }
  return best;
}

/** A slot that the table needs has no known value. */
const MISSING = -2;

/** The exact key that a slot of a table holds; NONE where the table has no such slot. */
function exactKey(image: usize, slot: i32): i32 {
  if (slot === tags.NONE) return tags.NONE;
  if (!isPresent(image, slot)) return MISSING;
  const key = load<i32>(viewOf(image, slot), VIEW_EXACT_KEY);
  return key === tags.NONE ? MISSING : key;
}

function tryTuple(image: usize, table: usize, hash: u32, prefix: i32, best: u32): u32 {
  const size = load<u32>(table, tags.TABLE_TUPLES_SIZE);
  const tuples = record(image, tags.SECTION_TUPLES, load<u32>(table, tags.TABLE_TUPLES), tags.TUPLE_STRIDE);
  let place = hash;
  while (true) {
    place &= size - 1;
    const tuple = tuples + place * tags.TUPLE_STRIDE;
    const count = load<i32>(tuple, tags.TUPLE_CANDIDATE_COUNT);
    if (count === tags.NONE) return best;
    if (isTuple(image, table, tuple, prefix))
      return tryCandidates(image, load<u32>(tuple, tags.TUPLE_CANDIDATES), count, best);
    place++;
  }
}

function isTuple(image: usize, table: usize, tuple: usize, prefix: i32): bool {
  if (load<i32>(tuple, tags.TUPLE_KEYS + 12) !== prefix) return false;
  for (let i: usize = 0; i < 3; i++) {
    const slot = load<i32>(table + 4 * i, tags.TABLE_EXACT_SLOTS);
    if (load<i32>(tuple + 4 * i, tags.TUPLE_KEYS) !== exactKey(image, slot)) return false;
  }
  return true;
}

/** The first of the candidates, which rise, that holds and comes before best. */
function tryCandidates(image: usize, start: u32, count: u32, best: u32): u32 {
  const candidates = record(image, tags.SECTION_CANDIDATES, start, tags.CANDIDATE_STRIDE);
  for (let i: u32 = 0; i < count; i++) {
    const clause = load<u32>(candidates + i * tags.CANDIDATE_STRIDE);
    if (clause >= best) return best;
    if (residueHolds(image, clause)) return clause;
  }
  return best;
}

/** Whether the conditions hold that finding the clause did not already imply. */
function residueHolds(image: usize, index: u32): bool {
  const clause = record(image, tags.SECTION_CLAUSES, index, tags.CLAUSE_STRIDE);
  const conditions = section(image, tags.SECTION_CONDITIONS);
  const end = conditions + load<u32>(clause, tags.CLAUSE_END) * tags.CONDITION_STRIDE;
  let at = conditions + load<u32>(clause, tags.CLAUSE_RESIDUE) * tags.CONDITION_STRIDE;
  for (; at < end; at += tags.CONDITION_STRIDE) if (!holds(image, at)) return false;
  return true;
}
