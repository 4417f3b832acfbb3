// A slot's prefixes -> a radix tree in the policy image.
import * as tags from "../../filters/policy/tags.js";
import type { Bytes, Records } from "./image-writer.js";

/** A prefix and the number of its key. */
export interface NumberedPrefix {
  readonly value: Uint8Array;
  readonly key: number;
}

/**
 * Adds the tree to the sections and returns its root's index, or NONE when there are no prefixes. The prefixes are
 * distinct.
 */
export function addRadixTree(
  prefixes: readonly NumberedPrefix[],
  sections: { readonly nodes: Records; readonly edges: Records; readonly bytes: Bytes },
): number {
  if (prefixes.length === 0) return tags.NONE;
  const sorted = [...prefixes].sort((a, b) => Buffer.compare(a.value, b.value));
  const { nodes, edges, bytes } = sections;

  /** The node for sorted[from, to), which all share their first depth bytes; its label goes on as far as they do. */
  const addNode = (from: number, to: number, depth: number): number => {
    const first = sorted[from] as NumberedPrefix;
    const end = sharedLength(first.value, (sorted[to - 1] as NumberedPrefix).value);
    const label = first.value.subarray(depth, end);
    const ends = first.value.length === end;
    const groups = groupByByte(sorted, ends ? from + 1 : from, to, end);
    const edgeStart = edges.addEmpty(groups.length);
    const node = nodes.add(bytes.add(label), label.length, ends ? first.key : tags.NONE, edgeStart, groups.length);
    for (const [i, group] of groups.entries())
      edges.set(edgeStart + i, group.byte, addNode(group.from, group.to, end + 1));
    return node;
  };
  return addNode(0, sorted.length, 0);
}

/** For each prefix, the number of the longest other one that it begins with, or NONE. */
export function prefixParents(prefixes: readonly NumberedPrefix[]): Map<number, number> {
  const parents = new Map<number, number>();
  const open: NumberedPrefix[] = [];
  for (const prefix of [...prefixes].sort((a, b) => Buffer.compare(a.value, b.value))) {
    while (open.length > 0 && !startsWith(prefix.value, (open.at(-1) as NumberedPrefix).value)) open.pop();
    parents.set(prefix.key, open.at(-1)?.key ?? tags.NONE);
    open.push(prefix);
  }
  return parents;
}

function groupByByte(sorted: readonly NumberedPrefix[], from: number, to: number, depth: number) {
  const groups: { byte: number; from: number; to: number }[] = [];
  for (let i = from; i < to; i++) {
    const byte = (sorted[i] as NumberedPrefix).value[depth] as number;
    const last = groups.at(-1);
    if (last?.byte === byte) last.to = i + 1;
    else groups.push({ byte, from: i, to: i + 1 });
  }
  return groups;
}

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  let i = 0;
  while (i < a.length && i < b.length && a[i] === b[i]) i++;
  return i;
}

function startsWith(value: Uint8Array, prefix: Uint8Array): boolean {
  return sharedLength(value, prefix) === prefix.length;
}
