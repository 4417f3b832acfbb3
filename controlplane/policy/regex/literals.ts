// The texts that every match of a pattern begins and ends with, and what is left between them.

import type { Node } from "./syntax.js";
import { byteSequences } from "./utf8.js";

export interface Split {
  readonly prefix: Uint8Array;
  readonly middle: Node;
  readonly suffix: Uint8Array;
}

/**
 * Splits a pattern that must match a whole text. An assertion looks at what is around it, so a pattern with one, other
 * than a needless ^ in front or $ at the end, is left whole.
 */
export function splitLiterals(node: Node): Split {
  const nodes = flatten(node);
  if (isAssertion(nodes[0], "beginText")) nodes.shift();
  if (isAssertion(nodes.at(-1), "endText")) nodes.pop();
  if (nodes.some(hasAssertion)) return { prefix: NOTHING, middle: concat(nodes), suffix: NOTHING };
  let from = 0;
  let to = nodes.length;
  while (from < to && literalOf(nodes[from])) from++;
  while (to > from && literalOf(nodes[to - 1])) to--;
  return {
    prefix: join(nodes.slice(0, from)),
    middle: concat(nodes.slice(from, to)),
    suffix: join(nodes.slice(to)),
  };
}

const NOTHING = new Uint8Array();

function flatten(node: Node): Node[] {
  return node.type === "concat" ? node.nodes.flatMap(flatten) : [node];
}

function concat(nodes: readonly Node[]): Node {
  return { type: "concat", nodes };
}

function hasAssertion(node: Node): boolean {
  switch (node.type) {
    case "assertion":
      return true;
    case "concat":
    case "alternate":
      return node.nodes.some(hasAssertion);
    case "repeat":
      return hasAssertion(node.node);
    default:
      return false;
  }
}

function isAssertion(node: Node | undefined, assertion: string): boolean {
  return node?.type === "assertion" && node.assertion === assertion;
}

/** The bytes of a class of one character. */
function literalOf(node: Node | undefined): number[] | undefined {
  if (node?.type !== "class" || node.ranges.length !== 1) return undefined;
  const [range] = node.ranges;
  if (!range || range[0] !== range[1]) return undefined;
  return byteSequences(range)[0]?.map(([byte]) => byte);
}

function join(nodes: readonly Node[]): Uint8Array {
  return Uint8Array.from(nodes.flatMap((node) => literalOf(node) ?? []));
}
