// The smallest automaton that accepts the same texts (Hopcroft's algorithm), in the form the policy image holds.
import type { RawDfa } from "./dfa.js";
import { TooLargeError } from "./nfa.js";
import { Partition } from "./partition.js";

/** A deterministic automaton over bytes. State 0 is dead; states from acceptFrom on accept. */
export interface Dfa {
  /** The class of each of the 256 bytes. */
  readonly classes: Uint8Array;
  readonly classCount: number;
  readonly stateCount: number;
  readonly start: number;
  readonly acceptFrom: number;
  /** The state reached from state s by a byte of class c is at s * classCount + c. */
  readonly transitions: Uint16Array;
}

/** A larger table (entries of 16 bits) makes a pattern too large. */
const MOST_TRANSITIONS = 131_072;

export function minimize(raw: RawDfa): Dfa {
  const { blockOf, count } = equivalentStates(raw);
  const { numberOf, stateCount, acceptFrom } = numberBlocks(raw, blockOf, count);
  const rows = Array.from({ length: stateCount }, () => new Int32Array(raw.classCount));
  for (const [state, targets] of raw.targets.entries()) {
    const row = rows[numberOf[blockOf[state] as number] as number] as Int32Array;
    for (const [i, target] of targets.entries()) row[i] = numberOf[blockOf[target] as number] as number;
  }
  const { merged, columns } = mergeClasses(rows, raw.classCount);
  if (stateCount * columns.length > MOST_TRANSITIONS) throw new TooLargeError("its table is too large");
  return {
    classes: raw.classes.map((byteClass) => merged[byteClass] as number),
    classCount: columns.length,
    stateCount,
    start: numberOf[blockOf[raw.start] as number] as number,
    acceptFrom,
    transitions: Uint16Array.from(rows.flatMap((row) => columns.map((column) => row[column] as number))),
  };
}

function equivalentStates(raw: RawDfa): { readonly blockOf: Int32Array; readonly count: number } {
  const n = raw.targets.length;
  const sources = sourcesByClass(raw);
  const partition = new Partition(n);
  const open = new Set<number>([0]);
  const refine = () =>
    partition.split((block, created) => {
      if (open.has(block) || partition.sizeOf(created) <= partition.sizeOf(block)) open.add(created);
      else open.add(block);
    });
  for (let state = 0; state < n; state++) if (raw.accepts[state]) partition.mark(state);
  refine();
  open.add(0);
  for (const splitter of open) {
    open.delete(splitter);
    const members = partition.membersOf(splitter);
    for (const { starts, states } of sources) {
      for (const target of members)
        for (let i = starts[target] as number; i < (starts[target + 1] as number); i++)
          partition.mark(states[i] as number);
      refine();
    }
  }
  return { blockOf: partition.blockOf, count: partition.count };
}

/** For each class, the states that lead to each target: those of target t are at starts[t] up to starts[t + 1]. */
function sourcesByClass({ targets, classCount }: RawDfa): { starts: Int32Array; states: Int32Array }[] {
  return Array.from({ length: classCount }, (_, byteClass) => {
    const starts = new Int32Array(targets.length + 1);
    for (const row of targets) (starts[(row[byteClass] as number) + 1] as number)++;
    for (let i = 1; i < starts.length; i++) starts[i] = (starts[i] as number) + (starts[i - 1] as number);
    const next = starts.slice();
    const states = new Int32Array(targets.length);
    for (const [state, row] of targets.entries()) {
      const target = row[byteClass] as number;
      states[next[target] as number] = state;
      next[target] = (next[target] as number) + 1;
    }
    return { starts, states };
  });
}

/** The dead block becomes 0 (which exists in any case), the accepting ones come last; else in order of appearance. */
function numberBlocks(raw: RawDfa, blockOf: Int32Array, count: number) {
  const accepting = new Uint8Array(count);
  const alive = new Uint8Array(count);
  const order = [...new Set(blockOf)];
  for (const [state, row] of raw.targets.entries()) {
    const block = blockOf[state] as number;
    if (raw.accepts[state]) accepting[block] = 1;
    if (raw.accepts[state] || row.some((target) => blockOf[target] !== block)) alive[block] = 1;
  }
  const numberOf = new Int32Array(count);
  let next = 1;
  for (const block of order) if (alive[block] && !accepting[block]) numberOf[block] = next++;
  const acceptFrom = next;
  for (const block of order) if (accepting[block]) numberOf[block] = next++;
  return { numberOf, stateCount: next, acceptFrom };
}

/** Classes whose columns are the same become one: the new class of each old one, and a column for each new one. */
function mergeClasses(rows: readonly Int32Array[], classCount: number) {
  const known = new Map<string, number>();
  const columns: number[] = [];
  const merged: number[] = [];
  for (let column = 0; column < classCount; column++) {
    const identity = rows.map((row) => row[column]).join(" ");
    let number = known.get(identity);
    if (number === undefined) {
      number = columns.length;
      known.set(identity, number);
      columns.push(column);
    }
    merged.push(number);
  }
  return { merged, columns };
}
