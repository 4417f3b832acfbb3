// What the Kubernetes API speaks of: objects as they come over the wire, the types they are of, and its refusals.

/** An object as the API server gives it; whoever needs more than its metadata decodes it. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: KubeMeta;
  readonly [field: string]: unknown;
}

export interface KubeMeta {
  readonly name?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** A type of objects as requests name it; the core group is "". */
export interface KubeType {
  readonly group: string;
  readonly version: string;
  /** As in "virtualservices". */
  readonly plural: string;
}

/** Which object: without a namespace one that belongs to the cluster. */
export interface KubeName {
  readonly name: string;
  readonly namespace?: string;
}

/** Which objects: without a namespace those of all. */
export interface Selection {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: KubeObject }
  /** Nothing changed up to this resourceVersion. */
  | { readonly type: "BOOKMARK"; readonly object: KubeObject };

/** What a request came to when it did not succeed. */
export class KubeFault extends Error {
  override readonly name = "KubeFault";

  constructor(
    message: string,
    /** The HTTP status, or the code of an ERROR event in a watch; 0 when no answer came. */
    readonly status: number,
    /** Kubernetes' machine-readable reason, as in "Expired"; for no answer Node's error code. */
    readonly reason: string,
    /** How long the server asks to wait, where it does. */
    readonly retryAfterMs?: number,
  ) {
    super(message);
  }

  /** The resourceVersion or the continue token is too old: list anew. */
  get isExpired(): boolean {
    return this.status === 410;
  }
}

/** The path of a type's collection, or of one object, below the server's root. */
export function pathOf(type: KubeType, namespace?: string, name?: string): string {
  const root = type.group === "" ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const scope = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${scope}/${type.plural}${name === undefined ? "" : `/${encodeURIComponent(name)}`}`;
}
