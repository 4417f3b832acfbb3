// Patches within a text of YAML documents: what they do not touch stays as it was written, comments and all.
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseAllDocuments,
  parseDocument,
  stringify,
  visit,
} from "yaml";
import type { PatchOperation } from "./inject.js";

/** For one document: patches of what stands at paths of it. */
export interface DocumentEdit {
  readonly path: readonly (string | number)[];
  readonly patch: readonly PatchOperation[];
}

/**
 * `edits` are by the index of a document that is not empty. Documents without any are given back letter by letter; in an
 * edited one, aliases and merge keys are written out. Takes a text that has been parsed without fault. Throws where a patch
 * leads nowhere.
 */
export function editYaml(text: string, edits: ReadonlyMap<number, readonly DocumentEdit[]>): string {
  // Without a schema scalars are what is written: 0644 means one number to Kubernetes and another to this library.
  const documents = parseAllDocuments(text, { schema: "failsafe", keepSourceTokens: false });
  const pieces: string[] = [];
  let [end, index] = [0, -1];
  for (const document of documents as Document.Parsed[]) {
    const start = end;
    end = document.range[2];
    const own = isEmpty(document) ? undefined : edits.get(++index);
    if (own === undefined || own.every(({ patch }) => patch.length === 0)) {
      pieces.push(text.slice(start, end));
      continue;
    }
    writeAliasesOut(document);
    writeMergesOut(document.contents);
    for (const { path, patch } of own) for (const operation of patch) apply(document, path, operation);
    pieces.push(document.toString({ lineWidth: 0, doubleQuotedAsJSON: true }));
  }
  return [...pieces, text.slice(end)].join("");
}

/** As the sources take it: nothing, or null. */
function isEmpty({ contents }: Document.Parsed): boolean {
  return contents === null || ("value" in contents && /^(|~|null|Null|NULL)$/.test(String(contents.value ?? "")));
}

function writeAliasesOut(document: Document.Parsed): void {
  let found = true;
  while (found) {
    found = false;
    visit(document, {
      Alias(_, alias) {
        found = true;
        return (alias.resolve(document) as Node).clone() as Node;
      },
    });
  }
  visit(document, {
    Node(_, node) {
      if (!isAlias(node) && "anchor" in node) delete (node as { anchor?: string }).anchor;
    },
  });
}

/** As the sources read them: a map's own keys win, then those of what is listed first. */
function writeMergesOut(node: unknown): void {
  if (isSeq(node)) for (const item of node.items) writeMergesOut(item);
  if (!isMap(node)) return;
  for (const { value } of node.items) writeMergesOut(value);
  const merges = node.items.filter(({ key }) => isScalar(key) && key.type === "PLAIN" && key.value === "<<");
  for (const merge of merges) {
    node.items.splice(node.items.indexOf(merge), 1);
    for (const source of isSeq(merge.value) ? merge.value.items : [merge.value]) {
      if (isMap(source)) for (const pair of source.items) if (!node.has(pair.key)) node.items.push(pair);
    }
  }
}

function apply(document: Document.Parsed, root: readonly (string | number)[], { path, value }: PatchOperation): void {
  const steps = path
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  const last = steps.pop() as string;
  const target = [...root, ...steps].reduce<unknown>((node, step) => {
    if (isMap(node)) return node.get(step, true) ?? undefined;
    return isSeq(node) ? node.get(Number(step), true) : undefined;
  }, document.contents);
  const isJson = isMap(document.contents) && document.contents.flow === true;
  const node = nodeOf(value, isJson);
  if (isSeq(target)) target.items.splice(Number(last), 0, node);
  else if (isMap(target)) target.set(nodeOf(last, isJson), node);
  else throw new Error(`there is nothing at ${[...root, ...steps].join("/")}`);
}

/**
 * As it would have been parsed from a text; what YAML 1.1, which Kubernetes reads, takes for something else is quoted, and in
 * what is written as JSON every string.
 */
function nodeOf(value: unknown, isJson: boolean): Node {
  const quoted = isJson ? ({ defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "QUOTE_DOUBLE" } as const) : {};
  const text = stringify(value, { compat: "yaml-1.1", aliasDuplicateObjects: false, lineWidth: 0, ...quoted });
  return parseDocument(text, { schema: "failsafe" }).contents as Node;
}
