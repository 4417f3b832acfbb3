// The Kubernetes API as plain JSON: what the control plane asks of it, by group, version and plural.
import { type AccessOptions, KubeAccess } from "./access.js";
import { KubeFault, type KubeName, type KubeObject, type KubeType, pathOf, type Selection } from "./object.js";
import { type KubeRequest, MOST_BYTES, sendForJson, sendForStream } from "./request.js";
import { watchEvents } from "./watch.js";

/** One page of a list. */
export interface KubeList {
  readonly items: readonly KubeObject[];
  readonly resourceVersion: string;
  /** Present while there are more. */
  readonly continue?: string;
}

export interface ListOptions extends Selection {
  /** Objects of a page. */
  readonly limit?: number;
  readonly continue?: string;
  /** The items have nothing but their metadata. */
  readonly metadataOnly?: boolean;
  readonly signal?: AbortSignal;
}

export interface WatchOptions extends Selection {
  /** From a list, an event or a bookmark. */
  readonly resourceVersion: string;
  /** When the server is to end the watch; by default 300 to 600 s, drawn by chance. */
  readonly timeoutSeconds?: number;
  /** The server has taken the watch on; what it tells is still to come. */
  readonly onOpen?: () => void;
  readonly signal?: AbortSignal;
}

export interface WriteOptions {
  /** A part of the object with a path of its own, as "status" or "token". */
  readonly subresource?: string;
  /** Who owns the fields that are set. */
  readonly fieldManager?: string;
  readonly signal?: AbortSignal;
}

/** A deletion is refused (409) where the object is another by now. */
export interface Preconditions {
  readonly resourceVersion?: string;
}

export interface ApplyOptions extends WriteOptions {
  readonly fieldManager: string;
  /** Takes fields over from another manager; true by default. */
  readonly force?: boolean;
}

const METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/** Objects of a page, where nothing else is asked for. */
const PAGE = 500;
/** Milliseconds. A watch that asks for bookmarks has something to tell about every minute. */
const WATCH_SILENCE_MS = 150_000;

/** Every method rejects with a KubeFault; none tries again, but for once with renewed credentials on 401. */
export class KubeClient {
  constructor(readonly access: KubeAccess) {}

  /** Loads the configuration; rejects with a text for the user where there is none. */
  static async connect(options: AccessOptions): Promise<KubeClient> {
    return new KubeClient(await KubeAccess.load(options));
  }

  /** Undefined when there is no such object. */
  async get(type: KubeType, { name, namespace }: KubeName, signal?: AbortSignal): Promise<KubeObject | undefined> {
    try {
      return await this.object({ method: "GET", path: pathOf(type, namespace, name), ...withSignal(signal) });
    } catch (error) {
      if (error instanceof KubeFault && error.status === 404) return undefined;
      throw error;
    }
  }

  /** One page; the items have apiVersion and kind only where the server gives them. */
  async list(type: KubeType, options: ListOptions = {}): Promise<KubeList> {
    const { namespace, limit = PAGE, continue: from, metadataOnly = false, signal } = options;
    const query = { ...selectorsOf(options), limit, continue: from };
    const request: KubeRequest = {
      method: "GET",
      path: pathOf(type, namespace),
      query,
      ...(metadataOnly ? { accept: METADATA_LIST } : {}),
      ...withSignal(signal),
    };
    const list = (await sendForJson(this.access, request, MOST_BYTES)) as {
      readonly items?: readonly KubeObject[] | null;
      readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
    };
    const { resourceVersion = "", continue: more } = list.metadata ?? {};
    return { items: list.items ?? [], resourceVersion, ...(more ? { continue: more } : {}) };
  }

  /** The pages of a whole list, one after the other; one that is too large to be taken is asked for in smaller parts. */
  async *pages(type: KubeType, options: ListOptions = {}): AsyncGenerator<KubeList, void> {
    let limit = options.limit ?? PAGE;
    let next: Pick<ListOptions, "continue"> | undefined = {};
    while (next) {
      try {
        const page: KubeList = await this.list(type, { ...options, ...next, limit });
        yield page;
        next = page.continue === undefined ? undefined : { continue: page.continue };
      } catch (error) {
        if (!(error instanceof KubeFault && error.reason === "TooLarge") || limit === 1) throw error;
        limit = Math.ceil(limit / 8);
      }
    }
  }

  /** Events in the order they come, those that come together at once; see watchEvents. Bookmarks are among them. */
  async *watch(type: KubeType, options: WatchOptions): ReturnType<typeof watchEvents> {
    const { namespace, resourceVersion, timeoutSeconds = 300 + Math.floor(Math.random() * 300), signal } = options;
    const query = {
      ...selectorsOf(options),
      watch: 1,
      allowWatchBookmarks: "true",
      resourceVersion,
      timeoutSeconds,
    };
    const request: KubeRequest = { method: "GET", path: pathOf(type, namespace), query, ...withSignal(signal) };
    const response = await sendForStream(this.access, request, WATCH_SILENCE_MS);
    options.onOpen?.();
    yield* watchEvents(response);
  }

  /** Also for what is only asked, as a TokenReview: the answer is the object with its status. */
  create(type: KubeType, object: object, namespace?: string, options: WriteOptions = {}): Promise<KubeObject> {
    return this.write("POST", pathOf(type, namespace), object, options);
  }

  /** A subresource that is created under an object that exists, as a service account's token. */
  createUnder(
    type: KubeType,
    { name, namespace }: KubeName,
    object: object,
    options: WriteOptions,
  ): Promise<KubeObject> {
    return this.write("POST", pathOf(type, namespace, name), object, options);
  }

  /** Refused (409) when the object's resourceVersion is not the latest. */
  replace(
    type: KubeType,
    { name, namespace }: KubeName,
    object: object,
    options: WriteOptions = {},
  ): Promise<KubeObject> {
    return this.write("PUT", pathOf(type, namespace, name), object, options);
  }

  /** Server-side apply: makes the object, or sets the fields that are given and drops those given before. */
  apply(type: KubeType, { name, namespace }: KubeName, object: object, options: ApplyOptions): Promise<KubeObject> {
    const { force = true, ...write } = options;
    const path = pathOf(type, namespace, name);
    return this.write("PATCH", path, object, write, { force: String(force) }, "application/apply-patch+yaml");
  }

  /** A JSON merge patch. */
  merge(type: KubeType, { name, namespace }: KubeName, patch: object, options: WriteOptions = {}): Promise<KubeObject> {
    return this.write("PATCH", pathOf(type, namespace, name), patch, options, {}, "application/merge-patch+json");
  }

  /** Without complaint where there is no such object. */
  async delete(
    type: KubeType,
    { name, namespace }: KubeName,
    signal?: AbortSignal,
    preconditions?: Preconditions,
  ): Promise<void> {
    const body = preconditions === undefined ? {} : { body: { preconditions } };
    try {
      const path = pathOf(type, namespace, name);
      await sendForJson(this.access, { method: "DELETE", path, ...body, ...withSignal(signal) });
    } catch (error) {
      if (!(error instanceof KubeFault && error.status === 404)) throw error;
    }
  }

  /** The JSON at any path, as /apis or /version. */
  read(path: string, signal?: AbortSignal): Promise<unknown> {
    return sendForJson(this.access, { method: "GET", path, ...withSignal(signal) });
  }

  close(): void {
    this.access.close();
  }

  private write(
    method: "POST" | "PUT" | "PATCH",
    path: string,
    body: object,
    { subresource, fieldManager, signal }: WriteOptions,
    query: Readonly<Record<string, string>> = {},
    contentType = "application/json",
  ): Promise<KubeObject> {
    return this.object({
      method,
      path: subresource === undefined ? path : `${path}/${subresource}`,
      query: { ...query, fieldManager },
      body,
      contentType,
      ...withSignal(signal),
    });
  }

  private async object(request: KubeRequest): Promise<KubeObject> {
    return (await sendForJson(this.access, request)) as KubeObject;
  }
}

function selectorsOf({ labelSelector, fieldSelector }: Selection) {
  return { labelSelector, fieldSelector };
}

function withSignal(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
