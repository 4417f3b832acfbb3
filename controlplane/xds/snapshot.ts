// What one proxy should have: immutable, complete, by type. The xds folder knows nothing of the domain.

/** A resource as it goes onto the wire, encoded once and shared by every proxy that gets it. */
export interface XdsResource {
  readonly name: string;
  /** Changes exactly when the content does: a hash of it. */
  readonly version: string;
  /** The encoded google.protobuf.Any, type URL and value. */
  readonly any: Uint8Array;
  /** The client drops the resource when it hears nothing of it for so long; heartbeats keep it. Absent: for ever. */
  readonly ttlMillis?: number;
}

/** type.googleapis.com/... */
export type TypeUrl = string;

/** The resources of one proxy. Never changed after it was published; a new one replaces it. */
export interface Snapshot {
  readonly resources: ReadonlyMap<TypeUrl, ReadonlyMap<string, XdsResource>>;
}
