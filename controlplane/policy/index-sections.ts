// Clauses and their index -> the policy image: slots, keys, tables and conditions.
import * as tags from "../../filters/policy/tags.js";
import type { ImageHeader, TableRange } from "./image-writer.js";
import type { Inputs, Key, Slot } from "./inputs.js";
import { mixKeys, murmur3 } from "./murmur3.js";
import type { Index, Table } from "./narrow.js";
import { addRadixTree, prefixParents } from "./radix.js";
import type { CompiledRegex, Dfa } from "./regex/compile.js";
import type { Sections } from "./sections.js";
import type { Steps } from "./steps.js";

export interface IndexInput {
  readonly inputs: Inputs;
  readonly numbers: ReadonlyMap<Key, number>;
  readonly index: Index;
}

/** Writes everything that finds a rule, and returns what the image's header says of it. */
export function* writeIndex(input: IndexInput, sections: Sections): Steps<ImageHeader> {
  const { inputs } = input;
  writeSlots(input, sections);
  yield;
  writeKeys(input, sections);
  yield;
  for (const table of input.index.tables) {
    writeTable(table, input.numbers, sections);
    yield;
  }
  writeClauses(input, sections);
  const headers = inputs.slots.filter((slot) => slot.type === "header");
  const queryParameters = inputs.slots.filter((slot) => slot.type === "query");
  return {
    needs: needs(inputs, headers.length > 0, queryParameters.length > 0),
    headerNames: writeNames(headers, sections),
    queryNames: writeNames(queryParameters, sections),
  };
}

function needs(inputs: Inputs, headers: boolean, query: boolean): number {
  const bit = (needed: boolean, bit: number) => (needed ? bit : 0);
  const used = (slot: number) => inputs.slots[slot]?.used ?? false;
  const authority = used(tags.SLOT_AUTHORITY);
  return (
    bit(query || used(tags.SLOT_PATH) || used(tags.SLOT_PATH_LOWER), tags.NEEDS_PATH) |
    bit(headers || authority || used(tags.SLOT_METHOD) || used(tags.SLOT_SCHEME), tags.NEEDS_HEADERS) |
    bit(query, tags.NEEDS_QUERY) |
    bit(used(tags.SLOT_PATH_LOWER), tags.NEEDS_LOWER_PATH) |
    bit(authority, tags.NEEDS_AUTHORITY)
  );
}

function writeSlots({ inputs, numbers }: IndexInput, sections: Sections): void {
  for (const slot of inputs.slots) {
    const name = Buffer.from(slot.name);
    const exacts = writeExacts([...slot.exacts.values()], numbers, sections);
    sections.slots.add(
      sections.bytes.add(name),
      name.length,
      exacts.start,
      exacts.size,
      addRadixTree(numberedPrefixes(slot, numbers), sections),
      slot.present ? numberOf(slot.present, numbers) : tags.NONE,
    );
  }
}

function writeExacts(keys: readonly Key[], numbers: ReadonlyMap<Key, number>, sections: Sections): TableRange {
  const size = tableSize(keys.length);
  const start = sections.exacts.addEmpty(size);
  const place = placer(size);
  for (const key of keys) {
    const hash = murmur3(key.value);
    const value = sections.bytes.add(key.value);
    sections.exacts.set(start + place(hash), hash, value, key.value.length, numberOf(key, numbers));
  }
  return { start, size };
}

function writeNames(slots: readonly Slot[], sections: Sections): TableRange {
  const size = tableSize(slots.length);
  const start = sections.names.addEmpty(size);
  const place = placer(size);
  for (const slot of slots) sections.names.set(start + place(murmur3(Buffer.from(slot.name))), slot.index);
  return { start, size };
}

function writeKeys({ inputs, numbers, index }: IndexInput, sections: Sections): void {
  const parents = new Map<number, number>();
  for (const slot of inputs.slots)
    for (const [key, parent] of prefixParents(numberedPrefixes(slot, numbers))) parents.set(key, parent);
  sections.keys.add(tags.NONE, ...writeCandidates(index.always, sections));
  for (const [key, number] of numbers) {
    const parent = parents.get(number) ?? tags.NONE;
    sections.keys.add(parent, ...writeCandidates(index.byKey.get(key) ?? [], sections));
  }
}

function writeTable(table: Table, numbers: ReadonlyMap<Key, number>, sections: Sections): void {
  const tuples = [...table.tuples.values()];
  const size = tableSize(tuples.length);
  const start = sections.tuples.addEmpty(size);
  const place = placer(size);
  let firstClause = Number.POSITIVE_INFINITY;
  for (const { exacts, prefix, candidates } of tuples) {
    const keys = padded(exacts.map((key) => numberOf(key, numbers)));
    keys.push(prefix ? numberOf(prefix, numbers) : tags.NONE);
    firstClause = Math.min(firstClause, candidates[0] as number);
    sections.tuples.set(start + place(mixKeys(keys)), ...keys, ...writeCandidates(candidates, sections));
  }
  const slots = padded(table.exactSlots.map((slot) => slot.index));
  sections.tables.add(...slots, table.prefixSlot?.index ?? tags.NONE, start, size, firstClause);
}

function writeCandidates(clauses: readonly number[], sections: Sections): [start: number, count: number] {
  const start = sections.candidates.count;
  for (const clause of clauses) sections.candidates.add(clause);
  return [start, clauses.length];
}

function writeClauses({ numbers, index }: IndexInput, sections: Sections): void {
  const regexes = new RegexRecords(sections, numbers);
  for (const { rule, conditions, implied } of index.clauses) {
    const start = sections.conditions.count;
    for (const { slot, negated, key, regex } of conditions) {
      const operation = regex ? tags.OPERATION_REGEX : OPERATIONS[(key as Key).type];
      const operand = regex ? regexes.add(regex, key) : numberOf(key as Key, numbers);
      sections.conditions.add(slot.index, operation + (negated ? tags.OPERATION_NOT : 0), operand);
    }
    sections.clauses.add(rule, start, start + implied, sections.conditions.count);
  }
}

const OPERATIONS = {
  present: tags.OPERATION_PRESENT,
  exact: tags.OPERATION_EXACT,
  prefix: tags.OPERATION_PREFIX,
} as const;

/** Writes each regex once for each prefix key, and each DFA once. */
class RegexRecords {
  private readonly regexes = new Map<string, number>();
  private readonly dfas = new Map<Dfa, number>();

  constructor(
    private readonly sections: Sections,
    private readonly numbers: ReadonlyMap<Key, number>,
  ) {}

  add({ prefix, suffix, dfa }: CompiledRegex, key: Key | undefined): number {
    const number = key ? numberOf(key, this.numbers) : tags.NONE;
    const record = [number, prefix.length, this.sections.bytes.add(suffix), suffix.length, this.dfa(dfa)];
    const identity = record.join(" ");
    let index = this.regexes.get(identity);
    if (index === undefined) {
      index = this.sections.regexes.add(...record);
      this.regexes.set(identity, index);
    }
    return index;
  }

  private dfa(dfa: Dfa): number {
    let index = this.dfas.get(dfa);
    if (index === undefined) {
      const classes = this.sections.bytes.add(dfa.classes);
      const transitions = this.sections.transitions.add(dfa.transitions);
      const { classCount, stateCount, start, acceptFrom } = dfa;
      index = this.sections.dfas.add(classes, classCount, stateCount, start, acceptFrom, transitions);
      this.dfas.set(dfa, index);
    }
    return index;
  }
}

function numberedPrefixes(slot: Slot, numbers: ReadonlyMap<Key, number>) {
  return [...slot.prefixes.values()].map((key) => ({ value: key.value, key: numberOf(key, numbers) }));
}

function numberOf(key: Key, numbers: ReadonlyMap<Key, number>): number {
  return numbers.get(key) as number;
}

function padded(three: readonly number[]): number[] {
  return [...three, tags.NONE, tags.NONE, tags.NONE].slice(0, 3);
}

/** At most half full, so that a search ends soon. */
function tableSize(count: number): number {
  return count === 0 ? 0 : 2 ** Math.ceil(Math.log2(2 * count));
}

/** Gives out the places of one open-addressing table with linear probing; size is a power of two. */
function placer(size: number): (hash: number) => number {
  const taken = new Uint8Array(size);
  return (hash) => {
    let place = hash & (size - 1);
    while (taken[place]) place = (place + 1) & (size - 1);
    taken[place] = 1;
    return place;
  };
}
