// Holds an object against its kind's schema with ajv and words what ajv finds as violations.
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import { type CheckName, runCheck } from "./checks.js";
import { formatPath, pathOfPointer } from "./field-path.js";
import { quote } from "./names.js";
import type { Fault, Report } from "./report.js";
import type { FieldPath } from "./resource.js";
import type { Schema, Support } from "./schema.js";

/** Beyond this many faults an object's further ones are counted, not listed. */
const MOST_FAULTS = 1_000;

const ajv = new Ajv({
  allErrors: true,
  strict: true,
  strictTypes: false,
  ownProperties: true,
  logger: false,
  verbose: true,
});
addKeyword("check", ["string", "number"], (name, value) => list(runCheck(name as CheckName, value as string | number)));
addKeyword("keyCheck", "object", (name, value) => checkKeys(name as CheckName, value as object));
addKeyword("words", "string", (words, value) => list(checkWord(words as readonly string[], value as string)));
addKeyword("notice", undefined, (support, value) => (value === null ? [] : list(noticeOf(support as Support))));
ajv.addKeyword("support");

/** A fault of a value, or of one of its keys. */
interface KeyFault extends Fault {
  readonly key?: string;
}

/** What ajv calls for a keyword of ours: it reads the errors off the function itself. */
interface KeywordCheck {
  (schema: unknown, value: unknown): boolean;
  errors?: Partial<ErrorObject>[];
}

/**
 * Checks a value of one kind and reports every fault. Returns the value that decoding may read: the same, or, where
 * something had a wrong type, a copy that has an empty value of the right type in its place.
 */
export type SchemaCheck = (value: unknown, report: Report) => unknown;

/** Makes the check for a schema; ajv compiles it at the first use. */
export function schemaCheck(schema: Schema<unknown>): SchemaCheck {
  let compiled: ValidateFunction | undefined;
  return (value, report) => {
    compiled ??= ajv.compile(schema);
    if (compiled(value)) return value;
    return new FaultReader(value, report).read(compiled.errors ?? []);
  };
}

function addKeyword(
  keyword: string,
  type: "string" | "object" | ("string" | "number")[] | undefined,
  find: (schema: unknown, value: unknown) => readonly KeyFault[],
): void {
  const validate: KeywordCheck = (schema, value) => {
    const faults = find(schema, value);
    validate.errors = faults.map((fault) => ({ keyword, message: fault.message, params: fault }));
    return faults.length === 0;
  };
  ajv.addKeyword({ keyword, ...(type === undefined ? {} : { type }), validate, errors: true });
}

function list<T>(item: T | undefined): readonly T[] {
  return item === undefined ? [] : [item];
}

function checkKeys(name: CheckName, value: object): readonly KeyFault[] {
  return Object.keys(value).flatMap((key) => list(runCheck(name, key)).map((fault) => ({ ...fault, key })));
}

function checkWord(words: readonly string[], value: string): Fault | undefined {
  if (words.includes(value)) return undefined;
  const message = `${quote(value)} is none of ${words.join(", ")}.${didYouMean(value, words)}`;
  return { code: "invalid-value", message };
}

function noticeOf(support: Support): Fault | undefined {
  if (support.status === "refused") {
    return { code: "unsupported-field", message: "Headgate does not support this field; remove it." };
  }
  if (support.successor === undefined) return undefined;
  const message = `This field is deprecated; write ${support.successor} instead.`;
  return { code: "deprecated-field", message, severity: "warning" };
}

/** Turns the errors of one value into faults. */
class FaultReader {
  private copy: unknown;

  constructor(
    private readonly value: unknown,
    private readonly report: Report,
  ) {}

  read(errors: readonly ErrorObject[]): unknown {
    const seen = new Set<string>();
    for (const error of errors) {
      if (seen.size >= MOST_FAULTS) {
        this.report.error(
          "invalid-value",
          [],
          `The object has more than ${MOST_FAULTS} faults; further ones are not listed.`,
        );
        break;
      }
      const path = this.pathOf(error);
      const key = `${error.keyword} ${formatPath(path)}`;
      if (seen.has(key)) continue;
      seen.add(key);
      this.report.add(this.faultOf(error, path), path);
    }
    return this.copy ?? this.value;
  }

  private pathOf(error: ErrorObject): FieldPath {
    const path = pathOfPointer(error.instancePath, this.value);
    if (error.keyword === "required") return [...path, error.params.missingProperty as string];
    if (error.keyword === "additionalProperties") return [...path, error.params.additionalProperty as string];
    const { key } = error.params as KeyFault;
    return error.keyword === "keyCheck" && key !== undefined ? [...path, key] : path;
  }

  private faultOf(error: ErrorObject, path: FieldPath): Fault {
    switch (error.keyword) {
      case "type":
        return this.wrongType(error, path);
      case "required":
        this.report.markUnsound(path.slice(0, -1));
        return { code: "missing-field", message: `The field ${path.at(-1)} is required.` };
      case "additionalProperties":
        return unknownField(error, String(path.at(-1)));
      case "minItems":
        return { code: "missing-field", message: "The list is empty; it needs at least one entry." };
      case "minimum":
        return { code: "invalid-value", message: `The value is below ${error.params.limit}, the least allowed.` };
      case "maximum":
        return { code: "invalid-value", message: `The value is above ${error.params.limit}, the most allowed.` };
      default: {
        const { code, message, severity = "error" } = error.params as Fault;
        return { code, message, severity };
      }
    }
  }

  private wrongType(error: ErrorObject, path: FieldPath): Fault {
    const expected = [error.params.type as string | string[]].flat()[0] as TypeName;
    this.report.markUnsound(path);
    this.report.markUnsound(path.slice(0, -1));
    if (this.copy === undefined) this.copy = structuredClone(this.value);
    this.copy = withValueAt(this.copy, path, emptyValue(expected));
    return {
      code: "wrong-type",
      message: `${describe(error.data)} stands where ${TYPE_NAMES[expected]} must be.${writingHint(expected, error)}`,
    };
  }
}

const TYPE_NAMES = {
  string: "a string",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
} as const;

type TypeName = keyof typeof TYPE_NAMES;

function emptyValue(type: TypeName): unknown {
  return { string: "", number: 0, integer: 0, boolean: false, array: [], object: {} }[type];
}

/** Replaces what stands at a path; the root too. */
function withValueAt(root: unknown, path: FieldPath, value: unknown): unknown {
  const last = path.at(-1);
  if (last === undefined) return value;
  let parent = root;
  for (const step of path.slice(0, -1)) {
    if (typeof parent !== "object" || parent === null) return root;
    parent = (parent as Record<string | number, unknown>)[step];
  }
  if (typeof parent === "object" && parent !== null) {
    Object.defineProperty(parent, last, { value, enumerable: true, configurable: true, writable: true });
  }
  return root;
}

/** Says what a value is and never what is in it: it may be a secret's. */
function describe(value: unknown): string {
  if (value === null) return "Nothing";
  if (Array.isArray(value)) return "A list";
  if (typeof value === "object") return "An object";
  return `A ${typeof value}`;
}

function writingHint(expected: TypeName, { data, parentSchema }: ErrorObject): string {
  if (expected !== "string" || (typeof data !== "number" && typeof data !== "boolean")) return "";
  const isDuration = String(parentSchema?.check).startsWith("duration");
  return isDuration ? " Write a number with a unit, as in 10s." : " Put it in quotes.";
}

function unknownField(error: ErrorObject, name: string): Fault {
  const properties = error.parentSchema?.properties as Readonly<Record<string, unknown>> | undefined;
  const known = Object.keys(properties ?? {});
  const camelCase = name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  const hint =
    camelCase !== name && known.includes(camelCase) ? ` Did you mean ${camelCase}?` : didYouMean(name, known);
  return { code: "unknown-field", message: `There is no field ${quote(name)} here.${hint}` };
}

/** " Did you mean X?" for the word nearest to one that is not known, if any is near. */
export function didYouMean(word: string, known: readonly string[]): string {
  if (word.length > 40) return "";
  const allowed = Math.max(1, Math.floor(word.length / 3));
  let best: string | undefined;
  let bestDistance = allowed + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best === undefined ? "" : ` Did you mean ${best}?`;
}

/** How many characters must be put in, taken out or changed to make one word the other. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
