// What a file contributes while it is edited: the last good version of each of its objects, and the faults that stand.
import { deepFreeze } from "../resources/freeze.js";
import type { AnyResource } from "../resources/kinds.js";
import type { FieldPath } from "../resources/resource.js";
import type { Position, Violation } from "../resources/violation.js";
import { locateIn, type Positions } from "./positions.js";
import type { FileReading, ReadObject, ResourceContent } from "./reading.js";

/** An object of a file, in its last good version. */
export interface FileObject {
  readonly key: string;
  /** Absent where the object never was without error. */
  readonly resource?: AnyResource;
  /** Where its name stands now. */
  readonly place: () => Position | undefined;
  readonly violations: readonly Violation[];
}

/** The place of an object, which changes as the file is edited above it. */
interface Place {
  positions: Positions;
  within: FieldPath;
}

interface Entry {
  readonly key: string;
  readonly resource?: AnyResource;
  readonly digest?: string;
  readonly place: Place;
  readonly violations: readonly Violation[];
}

/** Takes in one reading of the file after another. */
export class FileContents {
  private entries: readonly Entry[] = [];
  private served: readonly FileObject[] | undefined;
  private faults: readonly Violation[] = [];

  /** Its objects in the order of the file; those that only live on from an earlier reading come last. */
  get objects(): readonly FileObject[] {
    this.served ??= this.entries.map(({ key, resource, place, violations }) => ({
      key,
      ...(resource === undefined ? {} : { resource }),
      place: () => locate(place, ["metadata", "name"]),
      violations,
    }));
    return this.served;
  }

  /** The faults of the file itself and of documents that cannot be told apart. */
  get violations(): readonly Violation[] {
    return this.faults;
  }

  /** The digests of what is served, by key. */
  get digests(): ReadonlyMap<string, string> {
    return new Map(this.entries.flatMap(({ key, digest }) => (digest === undefined ? [] : [[key, digest]])));
  }

  /** Whether the reading lacks an object that is served now, or hides one behind a fault of the file. */
  loses(reading: FileReading): boolean {
    const kept = new Set(reading.objects.map((object) => object.key));
    return this.entries.some(({ key, resource }) => resource !== undefined && !kept.has(key));
  }

  /**
   * Takes in what the file says now. An object that has an error keeps its last good version. A file with a fault of its
   * own, or with a document that cannot be told apart, also keeps the objects that it no longer has: they may be what
   * the fault hides. If the last object has an error, the file may be cut off there, and what came after it is kept.
   */
  update(reading: FileReading): void {
    const before = new Map(this.entries.toReversed().map((entry) => [entry.key, entry]));
    const entries: Entry[] = [];
    const faults: Violation[] = [...reading.violations];
    for (const object of reading.objects) {
      if (object.key === undefined) faults.push(...object.violations);
      else {
        entries.push(entryOf(object.key, object, before.get(object.key)));
        before.delete(object.key);
      }
    }
    const keptAfter = faults.some(isError) ? -1 : this.indexOfCut(reading.objects.at(-1));
    const kept = this.entries.filter((entry, index) => index > keptAfter && before.get(entry.key) === entry);
    entries.push(
      ...kept.filter(({ resource }) => resource !== undefined).map((entry) => ({ ...entry, violations: [] })),
    );
    this.entries = entries;
    this.served = undefined;
    this.faults = deepFreeze(faults);
  }

  /** Where among the objects so far the file seems to be cut off: at its last object, if that one has an error. */
  private indexOfCut(last: ReadObject | undefined): number {
    const index = this.entries.findIndex(({ key }) => key === last?.key);
    return index !== -1 && last?.violations.some(isError) ? index : Number.POSITIVE_INFINITY;
  }

  /** The file cannot be read: everything stays, and the violation says why. */
  fail(violation: Violation): void {
    this.faults = [violation];
  }
}

function isError(violation: Violation): boolean {
  return violation.severity === "error";
}

function entryOf(key: string, object: ReadObject, before: Entry | undefined): Entry {
  const { content, digest, unchanged, positions, within } = object;
  const violations = deepFreeze(object.violations);
  const place = Object.assign(before?.place ?? {}, { positions, within });
  if (before !== undefined && (unchanged || content === undefined || before.digest === digest)) {
    return { ...before, place, violations };
  }
  return content === undefined
    ? { key, place, violations }
    : { key, place, violations, digest, resource: resourceOf(content, place) };
}

function resourceOf(content: ResourceContent, place: Place): AnyResource {
  return deepFreeze({ ...content, locate: (path: FieldPath) => locate(place, path) }) as AnyResource;
}

function locate(place: Place, path: FieldPath): Position | undefined {
  return locateIn(place.positions, [...place.within, ...path]);
}
