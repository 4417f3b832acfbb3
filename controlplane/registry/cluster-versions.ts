// Versions of filters on a cluster, in immutable ConfigMaps of one namespace: a module's bytes in chunks, and then the record
// that names them, by which alone the version is there.
import { createHash, randomBytes } from "node:crypto";
import type { KubeClient } from "../kube/client.js";
import { KubeFault, type KubeObject, type KubeType } from "../kube/object.js";
import { type FilterVersion, parseRecord, type VersionStore } from "./version-store.js";

export const CONFIG_MAPS: KubeType = { group: "", version: "v1", plural: "configmaps" };
/** What a ConfigMap is of the filters: "version", "chunk" or "rollout". */
export const PART_LABEL = "headgate.dev/filters";

/** Bytes. A ConfigMap may hold 1 MiB. */
const CHUNK_BYTES = 768 * 1_024;
/** Of the largest module. */
const MOST_CHUNKS = 32;
const CHUNK_NAME = /^filter-chunk-[0-9a-f]{16}-\d{1,2}$/;
/** Milliseconds. What is left of slower pushes could be swept away before they end. */
const LONGEST_PUSH = 600_000;

export class ClusterVersions implements VersionStore {
  readonly #client: KubeClient;
  readonly #namespace: string;

  constructor(client: KubeClient, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  async add(record: FilterVersion, wasm: Uint8Array): Promise<boolean> {
    const name = recordName(record.name, record.version);
    if (await this.#get(name)) return false;
    const since = performance.now();
    const push = randomBytes(8).toString("hex");
    const chunks: string[] = [];
    for (let at = 0; at < wasm.length; at += CHUNK_BYTES) {
      const chunk = `filter-chunk-${push}-${chunks.length}`;
      const bytes = Buffer.from(wasm.subarray(at, at + CHUNK_BYTES)).toString("base64");
      await this.#create(chunk, "chunk", { binaryData: { bytes } });
      chunks.push(chunk);
    }
    if (performance.now() - since > LONGEST_PUSH) throw new Error("the push took more than ten minutes: try it again");
    try {
      const data = { "version.json": `${JSON.stringify(record, null, 2)}\n`, chunks: chunks.join("\n") };
      await this.#create(name, "version", { data });
      return true;
    } catch (error) {
      // After any other fault the record may be there all the same, and its chunks must be.
      if (!(error instanceof KubeFault && error.reason === "AlreadyExists")) throw error;
      for (const chunk of chunks) await this.#delete(chunk);
      return false;
    }
  }

  async list(): Promise<readonly FilterVersion[]> {
    return (await this.#list("version", false)).flatMap((object) => readRecord(object) ?? []);
  }

  async find(name: string, version: string): Promise<FilterVersion | "damaged" | undefined> {
    const object = await this.#get(recordName(name, version));
    return object && (readRecord(object) ?? "damaged");
  }

  async read(name: string, version: string): Promise<Uint8Array> {
    const object = await this.#get(recordName(name, version));
    const parts: Buffer[] = [];
    for (const chunk of object ? chunksOf(object) : []) {
      const { binaryData = {} } = ((await this.#get(chunk)) ?? {}) as { binaryData?: { bytes?: string } };
      parts.push(Buffer.from(binaryData.bytes ?? "", "base64"));
    }
    return Buffer.concat(parts);
  }

  async remove(name: string, version: string): Promise<boolean> {
    const object = await this.#get(recordName(name, version));
    if (object === undefined) return false;
    await this.#delete(recordName(name, version));
    for (const chunk of chunksOf(object)) await this.#delete(chunk);
    return true;
  }

  async sweep(olderThan: number): Promise<void> {
    // In this order, so that a record that comes meanwhile is seen.
    const chunks = await this.#list("chunk", true);
    const named = new Set((await this.#list("version", false)).flatMap(chunksOf));
    for (const { metadata } of chunks) {
      const { name = "", creationTimestamp } = metadata as { name?: string; creationTimestamp?: string };
      const isOld = Date.now() - Date.parse(creationTimestamp ?? "") >= olderThan;
      if (isOld && !named.has(name)) await this.#delete(name);
    }
  }

  #get(name: string): Promise<KubeObject | undefined> {
    return this.#client.get(CONFIG_MAPS, { namespace: this.#namespace, name });
  }

  async #create(name: string, part: string, content: object): Promise<void> {
    const metadata = { name, labels: { [PART_LABEL]: part } };
    await this.#client.create(CONFIG_MAPS, { metadata, immutable: true, ...content }, this.#namespace);
  }

  #delete(name: string): Promise<void> {
    return this.#client.delete(CONFIG_MAPS, { namespace: this.#namespace, name });
  }

  async #list(part: string, metadataOnly: boolean): Promise<readonly KubeObject[]> {
    const found: KubeObject[] = [];
    const selection = { namespace: this.#namespace, labelSelector: `${PART_LABEL}=${part}`, metadataOnly };
    // A record with its schema may have half a megabyte.
    const pages = this.#client.pages(CONFIG_MAPS, { ...selection, limit: metadataOnly ? 500 : 10 });
    for await (const { items } of pages) found.push(...items);
    return found;
  }
}

/** Of a version's ConfigMap, whose name may not have all that a version's may. */
function recordName(name: string, version: string): string {
  return `filter-version-${createHash("sha256").update(`${name}@${version}`).digest("hex").slice(0, 32)}`;
}

/** Undefined for one that is not what was written under that name. */
function readRecord(object: KubeObject): FilterVersion | undefined {
  const record = parseRecord(dataOf(object)["version.json"]);
  return record && object.metadata.name === recordName(record.name, record.version) ? record : undefined;
}

function chunksOf(object: KubeObject): readonly string[] {
  const names = (dataOf(object).chunks ?? "").split("\n").filter((name) => CHUNK_NAME.test(name));
  return names.slice(0, MOST_CHUNKS);
}

function dataOf(object: KubeObject): Readonly<Record<string, string>> {
  return (object.data ?? {}) as Readonly<Record<string, string>>;
}
