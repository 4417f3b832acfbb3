// Where versions of filters lie, as the registry sees it: a store keeps records and bytes, and decides nothing.

export interface FilterVersion {
  readonly name: string;
  readonly version: string;
  /** Of the module, in hexadecimal. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  readonly abi: string;
  /** Of the module's memory after its smoke requests; bytes. */
  readonly memoryBytes: number;
  /** JSON schema of its configuration, if it declares one. */
  readonly configurationSchema?: unknown;
  /** ISO 8601. */
  readonly addedAt: string;
  readonly addedBy: string;
}

/** Names and versions are such as the registry allows. Every method rejects when the store cannot be reached. */
export interface VersionStore {
  /** False if there is that version already. What a crash leaves of it is not seen, and the version can be added again. */
  add(record: FilterVersion, wasm: Uint8Array): Promise<boolean>;
  /** In any order, without damaged ones. */
  list(): Promise<readonly FilterVersion[]>;
  find(name: string, version: string): Promise<FilterVersion | "damaged" | undefined>;
  /** What lies there as the version's bytes; whether they are what was pushed is the caller's to see. */
  read(name: string, version: string): Promise<Uint8Array>;
  /** False if there is no such version. */
  remove(name: string, version: string): Promise<boolean>;
  /** Deletes what was left unfinished for longer than so many milliseconds. */
  sweep(olderThan: number): Promise<void>;
}

/** Reads what a store keeps as a record; undefined if it is none. Whose it is, is the store's to see. */
export function parseRecord(text: string | undefined): FilterVersion | undefined {
  try {
    const record = JSON.parse(text ?? "") as FilterVersion;
    const isNamed = typeof record.name === "string" && typeof record.version === "string";
    return isNamed && /^[0-9a-f]{64}$/.test(record.sha256) && Number.isSafeInteger(record.size) ? record : undefined;
  } catch {
    return undefined;
  }
}
