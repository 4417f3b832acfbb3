// Turns one parsed YAML document into plain JSON-like values, recording where each field stands.
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap, type YAMLSeq } from "yaml";
import { extendHash, type PathHash, PositionRecorder, ROOT } from "./positions.js";

/** Nodes that a document may gain by its aliases; enough for reuse, far too few for a bomb. */
const MOST_ALIASED_NODES = 100_000;
const STANDARD_TAG = /^tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq)$/;

/** Something in the text passes a limit. */
export class LimitError extends Error {
  constructor(
    readonly offset: number,
    message: string,
  ) {
    super(message);
  }
}

/** Something that is YAML, but not of the kind that configuration is made of. */
export class SyntaxFault extends Error {
  constructor(
    readonly offset: number,
    message: string,
  ) {
    super(message);
  }
}

/**
 * The document's value: null, strings, numbers, booleans, arrays and objects. What is aliased is shared, not copied, and
 * counted against a limit before anything walks over it. Throws LimitError or SyntaxFault.
 */
export function toValue(document: Document.Parsed): { value: unknown; recorder: PositionRecorder } {
  const converter = new Converter();
  const root = document.contents;
  const value = root === null ? null : converter.convert(root, ROOT);
  return { value, recorder: converter.recorder };
}

interface Anchored {
  readonly value: unknown;
  /** Nodes it stands for, with those of its own aliases. */
  readonly nodes: number;
}

class Converter {
  readonly recorder = new PositionRecorder();
  private readonly anchors = new Map<string, Anchored | undefined>();
  /** Nodes converted so far, with those that aliases stand for. */
  private nodes = 0;
  private aliased = 0;

  convert(node: Node | null | undefined, path: PathHash, offset = offsetOf(node)): unknown {
    this.recorder.record(path, offset);
    this.nodes += 1;
    if (node === null || node === undefined) return null;
    if (isAlias(node)) return this.resolve(node.source, offset);
    if (node.tag !== undefined && !STANDARD_TAG.test(node.tag)) {
      throw new SyntaxFault(offset, `The tag ${node.tag.slice(0, 80)} is not allowed; remove it.`);
    }
    const { anchor } = node as { anchor?: string };
    const before = this.nodes;
    // While it is being converted an anchored node is unfinished, and an alias to it would be a cycle.
    if (anchor !== undefined) this.anchors.set(anchor, undefined);
    const value = this.plainValue(node, path, offset);
    if (anchor !== undefined) this.anchors.set(anchor, { value, nodes: this.nodes - before + 1 });
    return value;
  }

  private plainValue(node: Node, path: PathHash, offset: number): unknown {
    if (isMap<Node, Node>(node)) return this.object(node, path);
    if (isSeq<Node>(node)) return this.array(node, path);
    if (isScalar(node)) return node.value;
    throw new SyntaxFault(offset, "This is neither a value nor a collection.");
  }

  private array(node: YAMLSeq<Node>, path: PathHash): unknown[] {
    return node.items.map((item, index) => this.convert(item, extendHash(path, index)));
  }

  private object(node: YAMLMap<Node, Node>, path: PathHash): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    let merged: { readonly value: unknown; readonly offset: number } | undefined;
    for (const { key, value } of node.items as Pair<Node, Node | null>[]) {
      if (!isScalar(key)) throw new SyntaxFault(offsetOf(key), "A key must be a plain word or a string.");
      const name = typeof key.value === "string" ? key.value : (key.source ?? String(key.value));
      const offset = offsetOf(key);
      const merges = name === "<<" && key.type === "PLAIN";
      if (Object.hasOwn(object, name) || (merges && merged))
        throw new SyntaxFault(offset, `The key ${JSON.stringify(name.slice(0, 80))} stands twice.`);
      const converted = this.convert(value, extendHash(path, name), offset);
      if (merges) merged = { value: converted, offset };
      else setKey(object, name, converted);
    }
    if (merged) this.merge(merged.value, object, merged.offset);
    return object;
  }

  /** What `<<` brings in, as kubectl reads it: the object's own keys win, then those of what is listed first. */
  private merge(value: unknown, object: Record<string, unknown>, offset: number): void {
    for (const source of Array.isArray(value) ? value : [value]) {
      if (typeof source !== "object" || source === null || Array.isArray(source)) {
        throw new SyntaxFault(offset, "<< takes an object or a list of objects, as in <<: *name.");
      }
      const keys = Object.keys(source);
      this.countAliased(keys.length, offset);
      for (const key of keys) if (!Object.hasOwn(object, key)) setKey(object, key, source[key as keyof typeof source]);
    }
  }

  private resolve(name: string, offset: number): unknown {
    const anchored = this.anchors.get(name);
    if (anchored === undefined) {
      const message = this.anchors.has(name)
        ? "is within what it stands for"
        : "stands for nothing; put it in quotes if it is no alias";
      throw new SyntaxFault(offset, `The alias *${name.slice(0, 80)} ${message}.`);
    }
    this.nodes += anchored.nodes;
    this.countAliased(anchored.nodes, offset);
    return anchored.value;
  }

  private countAliased(nodes: number, offset: number): void {
    this.aliased += nodes;
    if (this.aliased > MOST_ALIASED_NODES) {
      throw new LimitError(offset, `The document's aliases stand for more than ${MOST_ALIASED_NODES} values.`);
    }
  }
}

/** Also of the name __proto__. */
function setKey(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== "__proto__") object[name] = value;
  else Object.defineProperty(object, name, { value, enumerable: true });
}

function offsetOf(node: unknown): number {
  return (node as { range?: readonly number[] } | null | undefined)?.range?.[0] ?? 0;
}
