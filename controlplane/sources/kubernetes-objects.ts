// The objects of one feed as they are known: the last good version of each, and the faults that stand.
import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { KubeObject } from "../kube/object.js";
import { deepFreeze } from "../resources/freeze.js";
import type { AnyResource, Kind } from "../resources/kinds.js";
import { resourceKey } from "../resources/resource.js";
import type { Violation } from "../resources/violation.js";
import { makeViolation } from "../resources/violation-at.js";
import { pickFields } from "./kubernetes-fields.js";
import type { Reader } from "./reader.js";
import { decodeObjects, type ReadObject } from "./reading.js";

/** Milliseconds for which objects are decoded before others get a turn. */
const SLICE_MS = 10;
/** Characters of an object that takes long for its size alone. */
const LARGE = 65_536;
/** Objects, and characters of them, that are decoded at once. */
const BATCH = { objects: 100, characters: 262_144 };

/** What the cluster says of one object, beside what is decoded. */
export interface KubernetesEntry {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly digest: string;
  /** Absent where the object never was without error, or is of no interest. */
  readonly resource?: AnyResource;
  readonly violations: readonly Violation[];
}

/** An object that is there now, or the metadata of one that is gone. */
export interface ObjectChange {
  readonly object: KubeObject;
  readonly gone: boolean;
}

interface Arrival {
  readonly key: string;
  readonly object: KubeObject;
  readonly picked: object;
  readonly digest: string;
  readonly size: number;
}

export interface KubernetesObjectsOptions {
  readonly kind: Kind;
  readonly defaultNamespace: string;
  /** Decodes away from this thread what may take long. */
  readonly reader: Reader;
  /** Whether even small objects may take long, as those with regular expressions do. */
  readonly costly: boolean;
}

export class KubernetesObjects {
  private readonly entries = new Map<string, KubernetesEntry>();
  /** Keys of the entries that have violations. */
  private readonly faulty = new Set<string>();
  private touched = new Set<string>();

  constructor(private readonly options: KubernetesObjectsOptions) {}

  /** By resourceKey. */
  get(key: string): KubernetesEntry | undefined {
    return this.entries.get(key);
  }

  /** Of all objects, good or not. */
  keys(): IterableIterator<string> {
    return this.entries.keys();
  }

  get violations(): readonly Violation[] {
    return [...this.faulty].flatMap((key) => this.entries.get(key)?.violations ?? []);
  }

  /** The keys of all that came, changed or went since this was last asked. */
  takeTouched(): ReadonlySet<string> {
    const { touched } = this;
    this.touched = new Set();
    return touched;
  }

  /** Takes changes in, in their order. */
  async change(changes: readonly ObjectChange[], apiVersion: string): Promise<void> {
    const last = new Map(changes.map((change) => [this.keyOf(change.object), change]));
    const present = [...last.values()].filter(({ gone }) => !gone).map(({ object }) => object);
    await this.put(present, apiVersion);
    for (const [key, { gone }] of last) if (gone) this.drop(key);
  }

  /** Takes in some of the objects of a list; one that is known in this very version costs nothing. */
  async put(objects: readonly KubeObject[], apiVersion: string): Promise<void> {
    let batch: Arrival[] = [];
    let size = 0;
    let since = performance.now();
    for (const object of objects) {
      const arrival = this.arrive(object, apiVersion);
      if (arrival !== undefined) {
        batch.push(arrival);
        size += arrival.size;
      }
      if (batch.length >= BATCH.objects || size >= BATCH.characters || performance.now() - since >= SLICE_MS) {
        await this.decode(batch);
        await nextTurn();
        [batch, size, since] = [[], 0, performance.now()];
      }
    }
    await this.decode(batch);
  }

  /** Removes all that a complete list did not have. */
  keepOnly(listed: ReadonlySet<string>): void {
    for (const key of this.entries.keys()) if (!listed.has(key)) this.drop(key);
  }

  /** resourceKey. */
  keyOf({ metadata }: KubeObject): string {
    const { kind, defaultNamespace } = this.options;
    return resourceKey({
      kind,
      meta: { namespace: metadata.namespace || defaultNamespace, name: metadata.name ?? "" },
    });
  }

  /** What of an object has to be decoded; undefined where nothing does. */
  private arrive(object: KubeObject, apiVersion: string): Arrival | undefined {
    const key = this.keyOf(object);
    const { uid = "", resourceVersion = "" } = object.metadata;
    const before = this.entries.get(key);
    if (before?.uid === uid && before.resourceVersion === resourceVersion) return undefined;
    const picked = pickFields(this.options.kind, apiVersion, object);
    const text = JSON.stringify(picked ?? null);
    const digest = createHash("sha1").update(text).digest("base64");
    if (picked !== undefined && (before?.uid !== uid || before.digest !== digest)) {
      return { key, object, picked, digest, size: text.length };
    }
    const known = picked === undefined ? { violations: [] } : (before as KubernetesEntry);
    this.keep(key, { ...known, ...versionOf(object), digest });
    return undefined;
  }

  private keep(key: string, entry: KubernetesEntry): void {
    this.entries.set(key, entry);
    this.touched.add(key);
    if (entry.violations.length > 0) this.faulty.add(key);
    else this.faulty.delete(key);
  }

  private drop(key: string): void {
    this.touched.add(key);
    this.faulty.delete(key);
    this.entries.delete(key);
  }

  private async decode(arrivals: readonly Arrival[]): Promise<void> {
    if (arrivals.length === 0) return;
    const { reader, costly, defaultNamespace } = this.options;
    const objects = arrivals.map(({ picked }) => picked);
    if (!costly && arrivals.every(({ size }) => size < LARGE)) {
      for (const [index, read] of decodeObjects(objects, defaultNamespace).entries()) {
        this.settle(arrivals[index] as Arrival, read);
      }
      return;
    }
    const outcome = await reader.read({ path: "", defaultNamespace, known: new Map(), objects });
    if ("reading" in outcome) {
      for (const [index, arrival] of arrivals.entries()) {
        this.settle(arrival, outcome.reading.objects[index] as ReadObject);
      }
    } else if (arrivals.length > 1) for (const arrival of arrivals) await this.decode([arrival]);
    else this.settle(arrivals[0] as Arrival, { violations: [this.tooMuch(arrivals[0] as Arrival)] });
  }

  private settle({ key, object, digest }: Arrival, read: Pick<ReadObject, "content" | "violations">): void {
    const version = versionOf(object);
    const violations = deepFreeze(read.violations);
    const before = this.entries.get(key);
    const resource =
      read.content === undefined
        ? before?.uid === version.uid
          ? before.resource
          : undefined
        : (deepFreeze({ ...read.content, locate: nowhere }) as AnyResource);
    this.keep(key, { ...version, digest, violations, ...(resource === undefined ? {} : { resource }) });
  }

  private tooMuch({ object }: Arrival): Violation {
    const { kind, defaultNamespace: none } = this.options;
    const { namespace = none, name = "" } = object.metadata;
    const message = "The object takes too much time or memory to read; split it.";
    return makeViolation("yaml-limit", "error", [], message, undefined, { kind, namespace, name });
  }
}

/** An object of a cluster stands in no file. */
function nowhere(): undefined {
  return undefined;
}

function versionOf({ metadata }: KubeObject) {
  const { uid = "", resourceVersion = "", generation = 0 } = metadata;
  return { uid, resourceVersion, generation };
}
