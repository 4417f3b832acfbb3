// The two sides that `headgate diff` compares: what a control plane has for its proxies, and what a state of the objects
// would be translated to.
import { readFile } from "node:fs/promises";
import type { ConfigPage, ConfigType } from "../../admin/config.js";
import { viewResource } from "../../admin/resource-view.js";
import { packagePath } from "../../agent/package-root.js";
import type { Mesh } from "../../mesh/mesh.js";
import type { Proxy } from "../../proxy/proxy.js";
import { nextSnapshot } from "../../publish/snapshots.js";
import { Translator } from "../../translate/translate.js";
import { NO_RESOURCES, type ResourceMap } from "../../xds/difference.js";
import { EXTENSION_CONFIG } from "../../xds/order.js";
import type { Snapshot, TypeUrl } from "../../xds/snapshot.js";
import { versionOf } from "../../xds/version.js";
import { readAdmin } from "../admin-client.js";
import { extensionVersions, withoutCode } from "./extensions.js";

export interface Side {
  /** By type, a version that is equal for equal resources. */
  types(proxy: Proxy): Promise<ReadonlyMap<TypeUrl, string>>;
  /** By name. */
  versions(proxy: Proxy, typeUrl: TypeUrl): Promise<ReadonlyMap<string, string>>;
  /** Decoded, without secrets. */
  view(proxy: Proxy, typeUrl: TypeUrl, name: string): Promise<unknown>;
}

/** The control plane cannot be asked. */
export class AdminFault extends Error {
  constructor(
    message: string,
    readonly code: number,
  ) {
    super(message);
  }
}

/** What the control plane of an admin has for the proxies that are connected to it. All reject with AdminFault. */
export class AdminSide implements Side {
  readonly #extensions = new Map<string, string>();

  constructor(readonly admin: string) {}

  async types({ id }: Proxy): Promise<ReadonlyMap<TypeUrl, string>> {
    const { types } = await this.ask<{ types: ConfigType[] }>("/config", { proxy: id });
    return new Map(types.map(({ typeUrl, version }) => [typeUrl, version]));
  }

  async versions(proxy: Proxy, typeUrl: TypeUrl): Promise<ReadonlyMap<string, string>> {
    const { id } = proxy;
    const versions = new Map<string, string>();
    for (let after: string | null | undefined; after !== null; ) {
      const place = after === undefined ? {} : { after };
      const page: ConfigPage = await this.ask("/config", { proxy: id, type: typeUrl, versions: "", ...place });
      for (const { name, version } of page.resources) versions.set(name, version);
      after = page.next;
    }
    if (typeUrl !== EXTENSION_CONFIG) return versions;
    return extensionVersions(versions, (name) => this.view(proxy, typeUrl, name), this.#extensions);
  }

  async view({ id }: Proxy, typeUrl: TypeUrl, name: string): Promise<unknown> {
    const page = await this.ask<ConfigPage>("/config", { proxy: id, type: typeUrl, name });
    const resource = page.resources[0]?.resource;
    return typeUrl === EXTENSION_CONFIG ? withoutCode(resource) : resource;
  }

  async ask<T>(path: string, query: Readonly<Record<string, string>> = {}): Promise<T> {
    const read = await readAdmin(this.admin, `${path}?${new URLSearchParams(query)}`);
    if ("error" in read) throw new AdminFault(read.error, read.code);
    return read.value as T;
  }
}

/** In place of an extension's module. */
const NO_CODE = new Uint8Array();

/** What the objects of a mesh are translated to, by the translation that the control plane uses. */
export class TranslatedSide implements Side {
  readonly #translator: Translator;
  readonly #snapshots = new Map<string, Snapshot>();
  readonly #extensions = new Map<string, string>();

  private constructor(
    readonly mesh: Mesh,
    wasm: Uint8Array,
    tryFilter: Uint8Array,
    accessLog: string | undefined,
  ) {
    this.#translator = new Translator({
      trafficFilter: { wasm },
      tryFilter,
      extension: (extension) => ({ extension, wasm: NO_CODE }),
      ...(accessLog === undefined ? {} : { accessLog }),
    });
  }

  static async create(mesh: Mesh, accessLog: string | undefined): Promise<TranslatedSide> {
    const [wasm, tryFilter] = await Promise.all(
      ["traffic.wasm", "try.wasm"].map((file) => readFile(packagePath("build", file))),
    );
    return new TranslatedSide(mesh, wasm as Buffer, tryFilter as Buffer, accessLog);
  }

  async types(proxy: Proxy): Promise<ReadonlyMap<TypeUrl, string>> {
    return new Map([...this.#snapshot(proxy).resources].map(([typeUrl, map]) => [typeUrl, versionOf(map)]));
  }

  async versions(proxy: Proxy, typeUrl: TypeUrl): Promise<ReadonlyMap<string, string>> {
    const versions = new Map([...this.#resources(proxy, typeUrl)].map(([name, { version }]) => [name, version]));
    if (typeUrl !== EXTENSION_CONFIG) return versions;
    return extensionVersions(versions, (name) => this.view(proxy, typeUrl, name), this.#extensions);
  }

  async view(proxy: Proxy, typeUrl: TypeUrl, name: string): Promise<unknown> {
    const resource = this.#resources(proxy, typeUrl).get(name);
    const view = resource && viewResource(resource);
    return typeUrl === EXTENSION_CONFIG ? withoutCode(view) : view;
  }

  #resources(proxy: Proxy, typeUrl: TypeUrl): ResourceMap {
    return this.#snapshot(proxy).resources.get(typeUrl) ?? NO_RESOURCES;
  }

  #snapshot(proxy: Proxy): Snapshot {
    const known = this.#snapshots.get(proxy.id);
    if (known) return known;
    const made = nextSnapshot(undefined, this.#translator.translate(this.mesh, proxy));
    this.#snapshots.set(proxy.id, made);
    return made;
  }
}
