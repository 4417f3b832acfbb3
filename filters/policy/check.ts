// Decides, once, when an image is loaded, whether it may be read without further checks. What could make a reader leave
// the image, or go round in circles, is refused; whatever a record refers to is laid out in the order of the records,
// so that nothing is looked at twice and the time to check follows the image's size.
import { checkOutcomes } from "./check-outcomes";
import { allAreBelow, allRefer, isReference, isRun, isTable } from "./check-references";
import { checkRegexes } from "./check-regexes";
import { imageSize, section, sectionCount } from "./image";
import { murmur3 } from "./murmur3";
import * as tags from "./tags";

/** Bytes of a record, by section. */
const STRIDES = memory.data<i32>([
  1,
  tags.SLOT_STRIDE,
  tags.NAME_STRIDE,
  tags.EXACT_STRIDE,
  tags.NODE_STRIDE,
  tags.EDGE_STRIDE,
  tags.KEY_STRIDE,
  tags.CANDIDATE_STRIDE,
  tags.TABLE_STRIDE,
  tags.TUPLE_STRIDE,
  tags.CLAUSE_STRIDE,
  tags.CONDITION_STRIDE,
  tags.REGEX_STRIDE,
  tags.DFA_STRIDE,
  tags.TRANSITION_STRIDE,
  tags.RULE_STRIDE,
  tags.DESTINATION_STRIDE,
  tags.ROUTE_STRIDE,
  tags.FAULT_STRIDE,
  tags.ROLLOUT_STRIDE,
  tags.RAMP_STRIDE,
  tags.WEIGHT_STRIDE,
  tags.OVERRIDE_STRIDE,
  tags.LABEL_STRIDE,
]);

/** Whether size bytes at image are a whole and consistent image of this version. */
export function isValidImage(image: usize, size: usize): bool {
  return (
    size >= <usize>tags.HEADER_SIZE &&
    load<u32>(image, tags.HEADER_MAGIC) === tags.MAGIC &&
    load<u32>(image, tags.HEADER_VERSION) === tags.VERSION &&
    imageSize(image) === size &&
    size % 16 === 0 &&
    murmur3(image + tags.HEADER_IDENTITY, size - tags.HEADER_IDENTITY, 0) === load<u32>(image, tags.HEADER_CHECKSUM) &&
    checkDirectory(image, <u32>size) &&
    checkSlots(image) &&
    checkNames(image) &&
    checkExacts(image) &&
    checkNodes(image) &&
    checkKeys(image) &&
    checkTables(image) &&
    checkClauses(image) &&
    checkRegexes(image) &&
    checkOutcomes(image)
  );
}

function checkDirectory(image: usize, size: u32): bool {
  for (let id: u32 = 0; id < <u32>tags.SECTION_COUNT; id++) {
    const offset = load<u32>(image + tags.HEADER_DIRECTORY + 8 * id);
    const bytes = <u64>sectionCount(image, id) * load<u32>(STRIDES + 4 * id);
    if (offset < <u32>tags.HEADER_SIZE || offset % 4 !== 0 || offset + bytes > size) return false;
  }
  return true;
}

function checkSlots(image: usize): bool {
  const slots = section(image, tags.SECTION_SLOTS);
  const count = sectionCount(image, tags.SECTION_SLOTS);
  let exacts: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const slot = slots + i * tags.SLOT_STRIDE;
    const size = load<u32>(slot, tags.SLOT_EXACTS_SIZE);
    if (
      load<u32>(slot, tags.SLOT_EXACTS) !== exacts ||
      !isTable(image, tags.SECTION_EXACTS, exacts, size, tags.EXACT_STRIDE, tags.EXACT_KEY) ||
      !isRun(image, tags.SECTION_BYTES, load<u32>(slot, tags.SLOT_NAME), load<u32>(slot, tags.SLOT_NAME_LENGTH)) ||
      !isReference(image, tags.SECTION_NODES, load<i32>(slot, tags.SLOT_ROOT)) ||
      !isReference(image, tags.SECTION_KEYS, load<i32>(slot, tags.SLOT_PRESENT_KEY))
    )
      return false;
    exacts += size;
  }
  return count >= <u32>tags.FIXED_SLOTS;
}

function checkNames(image: usize): bool {
  const headers = load<u32>(image, tags.HEADER_HEADER_NAMES + 4);
  const parameters = load<u32>(image, tags.HEADER_QUERY_NAMES + 4);
  if (
    load<u32>(image, tags.HEADER_HEADER_NAMES) !== 0 ||
    load<u32>(image, tags.HEADER_QUERY_NAMES) !== headers ||
    !isTable(image, tags.SECTION_NAMES, 0, headers, tags.NAME_STRIDE, 0) ||
    !isTable(image, tags.SECTION_NAMES, headers, parameters, tags.NAME_STRIDE, 0)
  )
    return false;
  return allRefer(image, tags.SECTION_NAMES, tags.NAME_STRIDE, 0, tags.SECTION_SLOTS);
}

function checkExacts(image: usize): bool {
  const exacts = section(image, tags.SECTION_EXACTS);
  for (let i: u32 = 0, count = sectionCount(image, tags.SECTION_EXACTS); i < count; i++) {
    const exact = exacts + i * tags.EXACT_STRIDE;
    if (load<i32>(exact, tags.EXACT_KEY) === tags.NONE) continue;
    if (!isRun(image, tags.SECTION_BYTES, load<u32>(exact, tags.EXACT_VALUE), load<u32>(exact, tags.EXACT_LENGTH)))
      return false;
  }
  return allRefer(image, tags.SECTION_EXACTS, tags.EXACT_STRIDE, tags.EXACT_KEY, tags.SECTION_KEYS);
}

/** Each edge belongs to one node and leads to a later one, so every way through a tree ends. */
function checkNodes(image: usize): bool {
  const nodes = section(image, tags.SECTION_NODES);
  const edges = section(image, tags.SECTION_EDGES);
  const count = sectionCount(image, tags.SECTION_NODES);
  for (let i: u32 = 0; i < count; i++) {
    const node = nodes + i * tags.NODE_STRIDE;
    const first = load<u32>(node, tags.NODE_EDGES);
    const edgeCount = load<u32>(node, tags.NODE_EDGE_COUNT);
    if (
      edgeCount > 256 ||
      !isRun(image, tags.SECTION_EDGES, first, edgeCount) ||
      !isRun(image, tags.SECTION_BYTES, load<u32>(node, tags.NODE_LABEL), load<u32>(node, tags.NODE_LABEL_LENGTH))
    )
      return false;
    for (let edge = first; edge < first + edgeCount; edge++) {
      const target = load<u32>(edges + edge * tags.EDGE_STRIDE, tags.EDGE_NODE);
      if (target <= i || target >= count) return false;
    }
  }
  return allRefer(image, tags.SECTION_NODES, tags.NODE_STRIDE, tags.NODE_KEY, tags.SECTION_KEYS);
}

function checkKeys(image: usize): bool {
  const keys = section(image, tags.SECTION_KEYS);
  const count = sectionCount(image, tags.SECTION_KEYS);
  let candidates: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const key = keys + i * tags.KEY_STRIDE;
    const parent = load<i32>(key, tags.KEY_PARENT);
    const candidateCount = load<u32>(key, tags.KEY_CANDIDATE_COUNT);
    if (
      parent < tags.NONE ||
      parent >= <i32>i ||
      load<u32>(key, tags.KEY_CANDIDATES) !== candidates ||
      !isRun(image, tags.SECTION_CANDIDATES, candidates, candidateCount)
    )
      return false;
    candidates += candidateCount;
  }
  return count > <u32>tags.KEY_ALWAYS && allAreBelow(image, tags.SECTION_CANDIDATES, tags.SECTION_CLAUSES);
}

function checkTables(image: usize): bool {
  const tables = section(image, tags.SECTION_TABLES);
  let tuples: u32 = 0;
  for (let i: u32 = 0, count = sectionCount(image, tags.SECTION_TABLES); i < count; i++) {
    const table = tables + i * tags.TABLE_STRIDE;
    const size = load<u32>(table, tags.TABLE_TUPLES_SIZE);
    if (
      load<u32>(table, tags.TABLE_TUPLES) !== tuples ||
      size === 0 ||
      !isTable(image, tags.SECTION_TUPLES, tuples, size, tags.TUPLE_STRIDE, tags.TUPLE_CANDIDATE_COUNT)
    )
      return false;
    for (let column: usize = 0; column < 4; column++)
      if (!isReference(image, tags.SECTION_SLOTS, load<i32>(table + 4 * column, tags.TABLE_EXACT_SLOTS))) return false;
    tuples += size;
  }
  return tuples === sectionCount(image, tags.SECTION_TUPLES) && checkTuples(image);
}

function checkTuples(image: usize): bool {
  const tuples = section(image, tags.SECTION_TUPLES);
  for (let i: u32 = 0, count = sectionCount(image, tags.SECTION_TUPLES); i < count; i++) {
    const tuple = tuples + i * tags.TUPLE_STRIDE;
    const candidateCount = load<i32>(tuple, tags.TUPLE_CANDIDATE_COUNT);
    if (candidateCount === tags.NONE) continue;
    if (!isRun(image, tags.SECTION_CANDIDATES, load<u32>(tuple, tags.TUPLE_CANDIDATES), candidateCount)) return false;
  }
  return true;
}

function checkClauses(image: usize): bool {
  const clauses = section(image, tags.SECTION_CLAUSES);
  const conditions = sectionCount(image, tags.SECTION_CONDITIONS);
  for (let i: u32 = 0, count = sectionCount(image, tags.SECTION_CLAUSES); i < count; i++) {
    const clause = clauses + i * tags.CLAUSE_STRIDE;
    const residue = load<u32>(clause, tags.CLAUSE_RESIDUE);
    const end = load<u32>(clause, tags.CLAUSE_END);
    if (load<u32>(clause, tags.CLAUSE_CONDITIONS) > residue || residue > end || end > conditions) return false;
    if (load<u32>(clause, tags.CLAUSE_RULE) >= sectionCount(image, tags.SECTION_RULES)) return false;
  }
  return checkConditions(image);
}

function checkConditions(image: usize): bool {
  const conditions = section(image, tags.SECTION_CONDITIONS);
  for (let i: u32 = 0, count = sectionCount(image, tags.SECTION_CONDITIONS); i < count; i++) {
    const condition = conditions + i * tags.CONDITION_STRIDE;
    const operation = load<u32>(condition, tags.CONDITION_OPERATION);
    const regex = (operation & (tags.OPERATION_NOT - 1)) === tags.OPERATION_REGEX;
    const operands = sectionCount(image, regex ? tags.SECTION_REGEXES : tags.SECTION_KEYS);
    if (
      load<u32>(condition, tags.CONDITION_SLOT) >= sectionCount(image, tags.SECTION_SLOTS) ||
      operation >= 2 * <u32>tags.OPERATION_NOT ||
      load<u32>(condition, tags.CONDITION_OPERAND) >= operands
    )
      return false;
  }
  return true;
}
