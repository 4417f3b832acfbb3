// What the decoders of all kinds read alike: absent fields, durations, labels, selectors.
import { parseDuration } from "./duration.js";
import { deepFreeze } from "./freeze.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";

/** T without its undefined fields: those that can be undefined become optional ones that cannot. */
export type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Leaves out the fields that are undefined, so that an absent field is no key at all. */
export function present<T extends object>(fields: T): Present<T> {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) kept[name] = value;
  return kept as Present<T>;
}

/** The value, with null (a key without a value in YAML) as absence. */
export function optional<T>(value: T | null | undefined): T | undefined {
  return value ?? undefined;
}

/** Decodes what is there. */
export function maybe<T, R>(value: T | null | undefined, decode: (value: T) => R): R | undefined {
  return value === null || value === undefined ? undefined : decode(value);
}

/** Milliseconds; undefined where the field is absent. A malformed duration was reported by the schema and gives 0. */
export function millis(duration: string | null | undefined): number | undefined {
  return maybe(duration, (text) => parseDuration(text) ?? 0);
}

const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});
const NO_ENTRIES: ReadonlyMap<string, never> = deepFreeze(new Map<string, never>());
const NO_ITEMS: readonly never[] = Object.freeze([]);

/** A record of strings of its own, empty where the field is absent. */
export function labelsOf(raw: Readonly<Record<string, string>> | null | undefined): Readonly<Record<string, string>> {
  return raw === null || raw === undefined ? NO_LABELS : { ...raw };
}

/** An object's entries as a map, empty where the field is absent. Most maps are, and share one. */
export function mapOf<T, R>(
  raw: Readonly<Record<string, T>> | null | undefined,
  decode: (value: T, key: string) => R,
): ReadonlyMap<string, R> {
  if (raw === null || raw === undefined) return NO_ENTRIES;
  return new Map(Object.entries(raw).map(([key, value]) => [key, decode(value, key)]));
}

/** A list of its own, empty where the field is absent. */
export function listOf<T>(raw: readonly T[] | null | undefined): readonly T[] {
  return raw === null || raw === undefined ? NO_ITEMS : [...raw];
}

/** An empty text means absence, as everywhere in Istio's API. */
export function nonEmpty(text: string | null | undefined): string | undefined {
  return text === "" ? undefined : (text ?? undefined);
}

/** Reports a list's entries that were there before. `keyOf` gives what must differ. */
export function reportRepeats<T>(
  entries: readonly T[],
  keyOf: (entry: T) => string | number | undefined,
  onRepeat: (index: number, first: number) => void,
): void {
  const firsts = new Map<string | number, number>();
  for (const [index, entry] of entries.entries()) {
    const key = keyOf(entry);
    if (key === undefined) continue;
    const first = firsts.get(key);
    if (first === undefined) firsts.set(key, index);
    else onRepeat(index, first);
  }
}

/** exportTo as written; "*" and "~" stand alone, and nothing stands twice. */
export function decodeExportTo(
  raw: readonly string[] | null | undefined,
  path: FieldPath,
  report: Report,
): readonly string[] {
  const entries = [...(raw ?? [])];
  reportRepeats(
    entries,
    (entry) => entry,
    (index) => report.error("invalid-value", [...path, index], `${entries[index]} stands in the list twice.`),
  );
  for (const alone of ["*", "~"]) {
    if (entries.length > 1 && entries.includes(alone)) {
      report.error("conflicting-fields", path, `"${alone}" stands alone; remove the other entries.`);
    }
  }
  return entries;
}

/** Gateways as NAME, NAMESPACE/NAME or mesh; Istio's old form NAME.NAMESPACE[.svc...] is read as the second. */
export function decodeGateways(
  raw: readonly string[] | null | undefined,
  path: FieldPath,
  report: Report,
): readonly string[] {
  return listOf(raw).map((gateway, index) => {
    if (!gateway.includes(".") || gateway.includes("/")) return gateway;
    const [name, namespace] = gateway.split(".");
    const message = `This form is deprecated; write ${namespace}/${name} instead.`;
    report.warning("deprecated-field", [...path, index], message);
    return `${namespace}/${name}`;
  });
}

/** Names the fields of an object that are set; for fields of which one at most, or exactly one, may be. */
export function namesOfSet(raw: object, names: readonly string[]): string[] {
  return names.filter((name) => Object.hasOwn(raw, name) && (raw as Record<string, unknown>)[name] !== null);
}

/** Reports that more than one of the fields is set. */
export function atMostOne(raw: object, names: readonly string[], path: FieldPath, report: Report): void {
  const set = namesOfSet(raw, names);
  if (set.length > 1) {
    report.error(
      "conflicting-fields",
      [...path, set[1] as string],
      `${set.join(" and ")} exclude each other; keep one.`,
    );
  }
}

/** Reports that none or more than one of the fields is set. */
export function exactlyOne(raw: object, names: readonly string[], path: FieldPath, report: Report): void {
  if (!report.sound(path)) return;
  if (namesOfSet(raw, names).length === 0)
    report.error("missing-field", path, `One of ${names.join(", ")} is required.`);
  atMostOne(raw, names, path, report);
}
