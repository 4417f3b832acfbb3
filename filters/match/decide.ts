// Which clause matches a request: the index gives candidates, and the lowest clause that holds wins.
import { record, section, sectionCount } from "../policy/image";
import { mixKey } from "../policy/murmur3";
import * as tags from "../policy/tags";
import {
  filledCount,
  filledSlot,
  isPresent,
  nextValue,
  VALUE_EXACT_KEY,
  VALUE_PREFIX_KEY,
  valueOf,
} from "../policy/work";
import { hasPrefix, resolveKeys } from "./keys";
import { matchesRegex } from "./regex";

/** The first clause that holds for the request in the image's work area, or NONE. */
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
  for (let value = valueOf(image, slot); value !== 0; value = nextValue(value))
    if (meets(image, value, operation, operand)) return true;
  return false;
}

function meets(image: usize, value: usize, operation: u32, operand: i32): bool {
  if (operation === tags.OPERATION_EXACT) return load<i32>(value, VALUE_EXACT_KEY) === operand;
  if (operation === tags.OPERATION_PREFIX) return hasPrefix(image, value, operand);
  if (operation === tags.OPERATION_REGEX) return matchesRegex(image, value, operand);
  return true;
}

/** The clauses found by any one key that a filled slot holds. */
function trySlot(image: usize, slot: u32, best: u32): u32 {
  for (let value = valueOf(image, slot); value !== 0; value = nextValue(value)) {
    const exact = load<i32>(value, VALUE_EXACT_KEY);
    if (exact !== tags.NONE) best = tryKey(image, exact, best);
    let prefix = load<i32>(value, VALUE_PREFIX_KEY);
    while (prefix !== tags.NONE) {
      best = tryKey(image, prefix, best);
      prefix = parentOf(image, prefix);
    }
  }
  const present = load<i32>(record(image, tags.SECTION_SLOTS, slot, tags.SLOT_STRIDE), tags.SLOT_PRESENT_KEY);
  return present === tags.NONE ? best : tryKey(image, present, best);
}

function parentOf(image: usize, key: u32): i32 {
  return load<i32>(record(image, tags.SECTION_KEYS, key, tags.KEY_STRIDE), tags.KEY_PARENT);
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
  return tryColumns(image, table, 0, 0, best);
}

/** The keys of the tuple that is being looked up: three exact ones and a prefix. */
const TUPLE: usize = memory.data(16, 4);

/** Looks up all tuples that the request's values make of the table's slots, from an exact column on. */
function tryColumns(image: usize, table: usize, column: usize, hash: u32, best: u32): u32 {
  if (column === 3) return tryPrefixColumn(image, table, hash, best);
  const slot = load<i32>(table + 4 * column, tags.TABLE_EXACT_SLOTS);
  if (slot === tags.NONE) {
    store<i32>(TUPLE + 4 * column, tags.NONE);
    return tryColumns(image, table, column + 1, mixKey(hash, tags.NONE), best);
  }
  if (!isPresent(image, slot)) return best;
  for (let value = valueOf(image, slot); value !== 0; value = nextValue(value)) {
    const key = load<i32>(value, VALUE_EXACT_KEY);
    if (key === tags.NONE) continue;
    store<i32>(TUPLE + 4 * column, key);
    best = tryColumns(image, table, column + 1, mixKey(hash, key), best);
  }
  return best;
}

function tryPrefixColumn(image: usize, table: usize, hash: u32, best: u32): u32 {
  const slot = load<i32>(table, tags.TABLE_PREFIX_SLOT);
  if (slot === tags.NONE) {
    store<i32>(TUPLE, tags.NONE, 12);
    return tryTuple(image, table, mixKey(hash, tags.NONE), best);
  }
  if (!isPresent(image, slot)) return best;
  for (let value = valueOf(image, slot); value !== 0; value = nextValue(value)) {
    let prefix = load<i32>(value, VALUE_PREFIX_KEY);
    while (prefix !== tags.NONE) {
      store<i32>(TUPLE, prefix, 12);
      best = tryTuple(image, table, mixKey(hash, prefix), best);
      prefix = parentOf(image, prefix);
    }
  }
  return best;
}

function tryTuple(image: usize, table: usize, hash: u32, best: u32): u32 {
  const size = load<u32>(table, tags.TABLE_TUPLES_SIZE);
  const tuples = record(image, tags.SECTION_TUPLES, load<u32>(table, tags.TABLE_TUPLES), tags.TUPLE_STRIDE);
  let place = hash;
  while (true) {
    place &= size - 1;
    const tuple = tuples + place * tags.TUPLE_STRIDE;
    const count = load<i32>(tuple, tags.TUPLE_CANDIDATE_COUNT);
    if (count === tags.NONE) return best;
    if (load<u64>(tuple) === load<u64>(TUPLE) && load<u64>(tuple, 8) === load<u64>(TUPLE, 8))
      return tryCandidates(image, load<u32>(tuple, tags.TUPLE_CANDIDATES), count, best);
    place++;
  }
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
