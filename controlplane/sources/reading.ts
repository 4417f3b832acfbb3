// What one file holds: its documents decoded, as plain data that can come from another thread.
import { createHash } from "node:crypto";
import { type Decoded, decodeObject, expandList, identityOf } from "../resources/decode.js";
import type { AnyResource } from "../resources/kinds.js";
import { type FieldPath, type RawObject, resourceKey } from "../resources/resource.js";
import type { Violation } from "../resources/violation.js";
import { type Identity, makeViolation } from "../resources/violation-at.js";
import { type FileStamp, readFileText } from "./files.js";
import { checkPatterns } from "./match-patterns.js";
import { NO_POSITIONS, type Positions } from "./positions.js";
import { parseYaml } from "./yaml.js";

/** Faults of objects that are listed for one file. */
const MOST_FAULTS = 2_000;
/** Faults that are listed for one object that stands in no file. */
const MOST_FAULTS_OF_OBJECT = 100;

/** A resource without the function that locates its fields. */
export type ResourceContent = Omit<AnyResource, "locate">;

/** One object of a file. */
export interface ReadObject {
  /** Complete where the object could be told from others, whether or not it could be decoded. */
  readonly identity: Identity;
  /** resourceKey; absent for what cannot be told from others: no kind or name, or a kind that is not read here. */
  readonly key?: string;
  /** Absent where the object has an error, and where it is unchanged. */
  readonly content?: ResourceContent;
  /** The object is without error and its digest is the one that the reader was told to know. */
  readonly unchanged?: true;
  readonly violations: readonly Violation[];
  /** Equal for objects of equal content, however they are laid out and commented. */
  readonly digest: string;
  readonly positions: Positions;
  /** Where in its document the object stands: not empty for an item of a List. */
  readonly within: FieldPath;
}

export interface FileReading {
  /** In the order of the file. */
  readonly objects: readonly ReadObject[];
  /** The faults of the file as a whole: its syntax, its limits. They may hide objects. */
  readonly violations: readonly Violation[];
  /** Whether the text's last line is a whole one. */
  readonly endsWithNewline: boolean;
}

/** What there was to read: the reading with the stamp the file had before, or why there is none. */
export type FileOutcome =
  | { readonly reading: FileReading; readonly stamp: FileStamp }
  | { readonly violation: Violation /** There is no such file. */; readonly missing: boolean };

export interface ReadingRequest {
  readonly path: string;
  readonly defaultNamespace: string;
  /** Digests by key of what the asker has already, so that it need not be sent again. */
  readonly known: ReadonlyMap<string, string>;
  /** What is decoded in place of a file: objects that came by another way. */
  readonly objects?: readonly unknown[];
}

/** Reads and decodes a file. Never throws. */
export function readObjects(request: ReadingRequest): FileOutcome {
  if (request.objects !== undefined) {
    const objects = decodeObjects(request.objects, request.defaultNamespace);
    return { reading: { objects, violations: [], endsWithNewline: true }, stamp: "" };
  }
  const read = readFileText(request.path);
  if ("violation" in read) return read;
  const { objects, violations } = parseYaml(read.text, request.path);
  const decoded = objects.flatMap((document) =>
    expandList(document).map(({ raw, within }) => readObject(raw, document.positions, within, request)),
  );
  const reading = { objects: decoded, violations, endsWithNewline: read.text.endsWith("\n") };
  return { reading: withFewFaults(reading, request.path), stamp: read.stamp };
}

/** Decodes objects that stand in no file, one by one. Never throws. */
export function decodeObjects(values: readonly unknown[], defaultNamespace: string): readonly ReadObject[] {
  const request = { path: "", defaultNamespace, known: new Map<string, string>() };
  return values.map((value) => {
    const read = readObject({ value, locate: () => undefined }, NO_POSITIONS, [], request);
    return { ...read, violations: read.violations.slice(0, MOST_FAULTS_OF_OBJECT) };
  });
}

/** A file with more faults than anybody reads tells of the first ones, and that there are more. */
function withFewFaults(reading: FileReading, file: string): FileReading {
  let left = MOST_FAULTS;
  const objects = reading.objects.map((object) => {
    const violations = object.violations.slice(0, Math.max(0, left));
    left -= object.violations.length;
    return violations.length === object.violations.length ? object : { ...object, violations };
  });
  if (left >= 0) return reading;
  const message = `The file has ${MOST_FAULTS - left} faults; only the first ${MOST_FAULTS} are listed.`;
  const more = makeViolation("yaml-limit", "warning", [], message, { file, line: 1, column: 1 }, {});
  return { ...reading, objects, violations: [...reading.violations, more] };
}

function readObject(raw: RawObject, positions: Positions, within: FieldPath, request: ReadingRequest): ReadObject {
  const decoded = decodeObject(raw, request.defaultNamespace);
  const identity = identityOf(raw.value, request.defaultNamespace);
  const key = decoded.resource === undefined ? keyOf(identity, decoded.violations) : resourceKey(decoded.resource);
  const digest = createHash("sha1").update(JSON.stringify(raw.value)).digest("base64");
  const unchanged = key !== undefined && request.known.get(key) === digest && decoded.resource !== undefined;
  const { resource, violations } = unchanged ? decoded : withPatternsChecked(decoded, raw, identity);
  const read = { identity, ...(key === undefined ? {} : { key }), violations, digest, positions, within };
  if (resource === undefined) return read;
  return unchanged ? { ...read, unchanged } : { ...read, content: contentOf(resource) };
}

/** An object whose expressions cannot be compiled is no better than one with another error. */
function withPatternsChecked(decoded: Decoded, raw: RawObject, identity: Identity): Decoded {
  const faults = decoded.resource === undefined ? [] : checkPatterns(decoded.resource, raw, identity);
  return faults.length === 0 ? decoded : { violations: [...decoded.violations, ...faults] };
}

function keyOf({ kind, namespace, name }: Identity, violations: readonly Violation[]): string | undefined {
  if (kind === undefined || namespace === undefined || name === undefined) return undefined;
  if (violations.some(({ code }) => code === "unknown-kind" || code === "not-an-object")) return undefined;
  return resourceKey({ kind, meta: { namespace, name } });
}

function contentOf({ kind, meta, spec }: AnyResource): ResourceContent {
  return { kind, meta, spec } as ResourceContent;
}
