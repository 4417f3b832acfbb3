// Where the entries of registered workloads lie, as registrations see it.
import type { RegisteredEntry } from "./registered-entry.js";

/** Of an entry, in its namespace. */
export interface EntryName {
  readonly namespace: string;
  readonly name: string;
}

/** Methods reject when the entries cannot be read or written. */
export interface Entries {
  /** Gives the entries from before that are nobody else's: their proxies are yet to come back here. */
  start(): Promise<readonly EntryName[]>;
  /** Makes or replaces it, and takes it over where it was another control plane's. */
  put(entry: RegisteredEntry): Promise<void>;
  /** Without complaint where there is none, or where it is another control plane's by now. */
  remove(name: EntryName): Promise<void>;
  close(): Promise<void>;
}
