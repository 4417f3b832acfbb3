// The syntax tree of a regular expression: what is matched; what is captured, and how greedily, does not matter here.

/** Code points lo to hi, both included. */
export type Range = readonly [lo: number, hi: number];

/** Sorted, disjoint and not adjacent. */
export type CharacterClass = readonly Range[];

export type Assertion = "beginText" | "endText" | "beginLine" | "endLine" | "wordBoundary" | "noWordBoundary";

export type Node =
  /** One character of the class; an empty class matches nothing. */
  | { readonly type: "class"; readonly ranges: CharacterClass }
  /** Any one byte. */
  | { readonly type: "byte" }
  | { readonly type: "assertion"; readonly assertion: Assertion }
  /** Of no nodes: the empty text. */
  | { readonly type: "concat"; readonly nodes: readonly Node[] }
  | { readonly type: "alternate"; readonly nodes: readonly Node[] }
  /** max may be Infinity. */
  | { readonly type: "repeat"; readonly node: Node; readonly min: number; readonly max: number };

/** A mistake in a pattern; caught within this folder. */
export class PatternError extends Error {}
