// Entries of registered workloads as WorkloadEntries of a cluster. Each says at which control plane its proxy is connected; what
// one of them leaves behind that is gone, the others clear away.
import type { KubeClient } from "../kube/client.js";
import { LEASES, Lease } from "../kube/lease.js";
import { KubeFault, type KubeObject, type KubeType } from "../kube/object.js";
import { onChangedFault } from "../kube/told-faults.js";
import type { Entries, EntryName } from "./entries.js";
import type { RegisteredEntry } from "./registered-entry.js";

export interface ClusterEntriesOptions {
  readonly client: KubeClient;
  /** Of the Leases by which control planes know that the others are there; those of another one are no concern of theirs. */
  readonly namespace: string;
  /** This control plane's own, unique to its process. */
  readonly identity: string;
  /** What keeps it from knowing of the others, and that it is over. */
  readonly onFault: (fault: Error | undefined) => void;
  /** After so many seconds without a sign of a control plane its entries go. Whole; 40 by default. */
  readonly seconds?: number;
}

const ENTRIES: KubeType = { group: "networking.istio.io", version: "v1", plural: "workloadentries" };
const LEASE_PREFIX = "headgate-registrations-";
const REGISTERED = "headgate.dev/registered";
const HOLDER = "headgate.dev/registered-at";
const MANAGER = "headgate-registrations";

interface Sign {
  readonly resourceVersion: string | undefined;
  readonly at: number;
}

export class ClusterEntries implements Entries {
  readonly #options: ClusterEntriesOptions;
  readonly #settle: (fault: Error | undefined) => void;
  readonly #millis: number;
  /** By control plane, when it was last seen to do something. */
  #signs: ReadonlyMap<string, Sign> = new Map();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #lease: Lease | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(options: ClusterEntriesOptions) {
    this.#options = options;
    this.#settle = onChangedFault(options.onFault);
    this.#millis = (options.seconds ?? 40) * 1_000;
  }

  /** All that there are have control planes of their own, or had. */
  async start(): Promise<readonly EntryName[]> {
    this.#lookEvery(this.#millis / 4);
    return [];
  }

  /** Rejects where somebody else has made a WorkloadEntry of that name. */
  async put(entry: RegisteredEntry): Promise<void> {
    const { client, identity } = this.#options;
    const { namespace, name, labels, annotations } = entry.metadata;
    const found = await client.get(ENTRIES, { namespace, name });
    if (found && found.metadata.labels?.[REGISTERED] === undefined)
      throw new Error(`the WorkloadEntry ${namespace}/${name} is none that a workload registered: it stays as it is`);
    this.#holdLease();
    const metadata = {
      ...{ namespace, name },
      labels: { ...labels, [REGISTERED]: "true" },
      annotations: { ...annotations, [HOLDER]: `${this.#options.namespace}/${identity}` },
    };
    await client.apply(ENTRIES, { namespace, name }, { ...entry, metadata }, { fieldManager: MANAGER });
  }

  async remove(name: EntryName): Promise<void> {
    const { client, identity } = this.#options;
    let found = await client.get(ENTRIES, name);
    // Somebody may be writing its status just now.
    while (found && this.#holderOf(found) === identity && !(await this.#delete(found)))
      found = await client.get(ENTRIES, name);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#looking;
    await this.#lease?.close();
  }

  #holdLease(): void {
    if (this.#lease) return;
    const { client, namespace, identity, seconds = 40, onFault } = this.#options;
    const name = `${LEASE_PREFIX}${identity}`;
    this.#lease = new Lease({ client, namespace, name, identity, seconds: Math.ceil(seconds / 2), onFault });
    this.#lease.start();
  }

  #lookEvery(millis: number): void {
    this.#timer = setTimeout(() => {
      this.#looking = this.#look()
        .then(() => this.#settle(undefined))
        .catch((error: Error) => this.#settle(error))
        .finally(() => this.#timer && this.#lookEvery(millis));
    }, millis);
    this.#timer.unref();
  }

  /** Clears away the entries of control planes that have given no sign for long, and their Leases. */
  async #look(): Promise<void> {
    const { client, namespace, identity } = this.#options;
    const all = await listed(client, ENTRIES, { labelSelector: REGISTERED });
    const entries = all.flatMap((entry) => {
      const holder = this.#holderOf(entry);
      return holder === undefined ? [] : [{ entry, holder }];
    });
    const leases = (await listed(client, LEASES, { namespace })).filter(({ metadata }) =>
      metadata.name?.startsWith(LEASE_PREFIX),
    );
    const holders = new Map(entries.map(({ holder }) => [holder, undefined as KubeObject | undefined]));
    for (const lease of leases) holders.set((lease.metadata.name ?? "").slice(LEASE_PREFIX.length), lease);
    holders.delete(identity);
    const now = performance.now();
    // While the server was away nobody could give a sign.
    const wasAway = now - this.#lookedAt > this.#millis / 2;
    this.#lookedAt = now;
    const signs = new Map<string, Sign>();
    for (const [holder, lease] of holders) {
      const resourceVersion = lease?.metadata.resourceVersion;
      const before = this.#signs.get(holder);
      const isSame = before !== undefined && before.resourceVersion === resourceVersion && !wasAway;
      signs.set(holder, isSame ? before : { resourceVersion, at: now });
    }
    this.#signs = signs;
    const gone = new Set([...signs].flatMap(([holder, { at }]) => (now - at >= this.#millis ? [holder] : [])));
    for (const { entry, holder } of entries) if (gone.has(holder)) await this.#delete(entry);
    for (const holder of gone) await client.delete(LEASES, { namespace, name: `${LEASE_PREFIX}${holder}` });
  }

  /** If it is still as it was read, false if not: a proxy may have come back meanwhile. */
  async #delete({ metadata: { namespace = "", name = "", resourceVersion } }: KubeObject): Promise<boolean> {
    const preconditions = resourceVersion === undefined ? {} : { resourceVersion };
    try {
      await this.#options.client.delete(ENTRIES, { namespace, name }, undefined, preconditions);
      return true;
    } catch (error) {
      if (error instanceof KubeFault && error.reason === "Conflict") return false;
      throw error;
    }
  }

  /** The identity of the control plane that it is at; undefined for one that leaves its signs elsewhere. */
  #holderOf({ metadata }: KubeObject): string | undefined {
    const [namespace, identity] = (metadata.annotations?.[HOLDER] ?? "").split("/");
    return namespace === this.#options.namespace ? identity : undefined;
  }
}

async function listed(client: KubeClient, type: KubeType, selection: { namespace?: string; labelSelector?: string }) {
  const found: KubeObject[] = [];
  for await (const { items } of client.pages(type, selection)) found.push(...items);
  return found;
}
