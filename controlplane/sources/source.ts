// The start of the arrow: something that brings objects in and tells of their changes.
import type { AnyResource } from "../resources/kinds.js";
import type { Violation } from "../resources/violation.js";

/** All objects of a source at one moment. Frozen; an unchanged object keeps its identity from one state to the next. */
export interface SourceState {
  /** By resourceKey. A quarantined object is here in its last good version, or not at all if it never had one. */
  readonly resources: ReadonlyMap<string, AnyResource>;
  /** The faults of single objects and files, all that stand now. */
  readonly violations: readonly Violation[];
  /** The keys that differ from the state before. */
  readonly changed: ReadonlySet<string>;
}

export interface Source {
  /**
   * Reads everything, resolves with the first whole state, and from then on calls onChange with each new state, never
   * with a half-read one. Rejects only when the source cannot work at all (no such directory), never for a bad object.
   */
  start(onChange: (state: SourceState) => void): Promise<SourceState>;
  close(): Promise<void>;
}
