// Chooses, for each clause, by which keys the filter finds it: the index that keeps the candidates few.
import type { Clause, Condition } from "./clauses.js";
import type { Key, Slot } from "./inputs.js";

/** A single key finds a clause if it finds at most this many; else several keys together do. */
const FEW = 4;
/** Each table over several keys is looked up for every request, so their number is bounded. */
const MOST_TABLES = 16;
const MOST_EXACT_SLOTS = 3;
/** A header can come with many values, and a table is looked up for all that they make together. */
const MOST_HEADERS = 2;

/** Clauses found by several keys at once: exact values of some slots, and perhaps a prefix of another. */
export interface Table {
  readonly exactSlots: readonly Slot[];
  readonly prefixSlot: Slot | undefined;
  /** By the keys' identity. */
  readonly tuples: Map<string, Tuple>;
}

export interface Tuple {
  readonly exacts: readonly Key[];
  readonly prefix: Key | undefined;
  readonly candidates: number[];
}

export interface IndexedClause extends Clause {
  /** How many of the conditions, from the first on, hold whenever the clause was found. */
  readonly implied: number;
}

export interface Index {
  /** Clauses that no key finds; tried for every request. */
  readonly always: readonly number[];
  readonly byKey: ReadonlyMap<Key, readonly number[]>;
  readonly tables: readonly Table[];
  /** All clauses, with their conditions in the order of the image. */
  readonly clauses: readonly IndexedClause[];
}

/** Builds the index. Clauses that an earlier one always precedes are left out of it. */
export function narrow(clauses: readonly Clause[], numbers: ReadonlyMap<Key, number>): Index {
  const catchAll = clauses.findIndex((clause) => clause.conditions.length === 0);
  const reachable = catchAll < 0 ? clauses : clauses.slice(0, catchAll + 1);
  const frequency = countKeys(reachable);
  const always: number[] = [];
  const byKey = new Map<Key, number[]>();
  const tables = new Map<string, Table>();
  const residues: Condition[][] = clauses.map((clause) => [...clause.conditions].sort(byCost));

  for (const [number, clause] of reachable.entries()) {
    const keys = findingKeys(clause, frequency, numbers);
    const [best] = keys;
    if (!best) {
      append(always, number, residues);
      continue;
    }
    const table = (frequency.get(best) as number) > FEW ? tableFor(tables, keys) : undefined;
    const used = table ? table.keys : [best];
    residues[number] = (residues[number] as Condition[]).filter(
      ({ key, regex, negated }) => regex || negated || !key || !used.includes(key),
    );
    if (table) append(tupleOf(table, numbers).candidates, number, residues);
    else append(listOf(byKey, best), number, residues);
  }
  return {
    always,
    byKey,
    tables: [...tables.values()],
    clauses: clauses.map((clause, i) => order(clause, residues[i])),
  };
}

function order(clause: Clause, residue: readonly Condition[] = []): IndexedClause {
  const implied = clause.conditions.filter((condition) => !residue.includes(condition));
  return { ...clause, conditions: [...implied, ...residue], implied: implied.length };
}

function countKeys(clauses: readonly Clause[]): Map<Key, number> {
  const frequency = new Map<Key, number>();
  for (const { conditions } of clauses)
    for (const { key, negated } of conditions) if (key && !negated) frequency.set(key, (frequency.get(key) ?? 0) + 1);
  return frequency;
}

/** The clause's keys, the most selective first. */
function findingKeys(clause: Clause, frequency: Map<Key, number>, numbers: ReadonlyMap<Key, number>): Key[] {
  const keys = new Set<Key>();
  for (const { key, negated } of clause.conditions) if (key && !negated) keys.add(key);
  const preference = { exact: 0, prefix: 1, present: 2 };
  return [...keys].sort(
    (a, b) =>
      (frequency.get(a) as number) - (frequency.get(b) as number) ||
      preference[a.type] - preference[b.type] ||
      (numbers.get(a) as number) - (numbers.get(b) as number),
  );
}

interface TableChoice {
  readonly table: Table;
  readonly keys: readonly Key[];
}

/** The table for the clause's most selective keys; undefined if it would be of one key, or one table too many. */
function tableFor(tables: Map<string, Table>, keys: readonly Key[]): TableChoice | undefined {
  const exact = keys.filter((key) => key.type === "exact");
  const headers = exact.filter((key) => key.slot.type === "header").slice(MOST_HEADERS);
  const exacts = exact.filter((key) => !headers.includes(key)).slice(0, MOST_EXACT_SLOTS);
  const prefix = keys.find((key) => key.type === "prefix");
  exacts.sort((a, b) => a.slot.index - b.slot.index);
  if (exacts.length + (prefix ? 1 : 0) < 2) return undefined;
  const identity = [...exacts, ...(prefix ? [prefix] : [])].map((key) => `${key.type}${key.slot.index}`).join(" ");
  let table = tables.get(identity);
  if (!table) {
    if (tables.size === MOST_TABLES) return undefined;
    table = { exactSlots: exacts.map((key) => key.slot), prefixSlot: prefix?.slot, tuples: new Map() };
    tables.set(identity, table);
  }
  return { table, keys: prefix ? [...exacts, prefix] : exacts };
}

function tupleOf({ table, keys }: TableChoice, numbers: ReadonlyMap<Key, number>): Tuple {
  const identity = keys.map((key) => numbers.get(key)).join(" ");
  let tuple = table.tuples.get(identity);
  if (!tuple) {
    const exacts = keys.slice(0, table.exactSlots.length);
    tuple = { exacts, prefix: table.prefixSlot ? keys.at(-1) : undefined, candidates: [] };
    table.tuples.set(identity, tuple);
  }
  return tuple;
}

function listOf(byKey: Map<Key, number[]>, key: Key): number[] {
  let list = byKey.get(key);
  if (!list) {
    list = [];
    byKey.set(key, list);
  }
  return list;
}

/** What comes after a clause that certainly matches once it is found is never reached. */
function append(candidates: number[], number: number, residues: readonly (readonly Condition[])[]): void {
  const last = candidates.at(-1);
  if (last !== undefined && residues[last]?.length === 0) return;
  candidates.push(number);
}

function byCost(a: Condition, b: Condition): number {
  return (a.regex ? 1 : 0) - (b.regex ? 1 : 0);
}
