// The end of the control plane's arrow: the ADS server, which brings each proxy the snapshot that lies in the cache.
//
//   const cache = new SnapshotCache();
//   const server = createAdsServer({ cache, onConnect: (node) => ({ key: node.id }), synced: () => true });
//   const address = await server.listen("127.0.0.1:0");
//   cache.set("sidecar~10.0.0.1~app.default~cluster.local", snapshot);   // again for each change
//   server.status();                                                      // who has what, who rejected what
//   await server.close();
//
// A snapshot is delivered in order (order.ts): additions and changes first, each type when what it needs was answered,
// then, removalDelayMillis later, the removals. A rejection counts as an answer; one that does not come is waited for
// answerMillis once. Snapshots that are set meanwhile merge into the last of them. Nothing is queued for a proxy: what
// it still has to get is always the difference between what it was sent and its snapshot.
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { isLoopback, parseAddress } from "./address.js";
import type { SnapshotCache } from "./cache.js";
import { type Clock, systemClock } from "./clock.js";
import type { OnConnect } from "./connect.js";
import { type AdsTls, ReplaceableCredentials } from "./credentials.js";
import { delta } from "./delta.js";
import type { EventSink } from "./events.js";
import type { Message } from "./message.js";
import { DEFAULT_ORDER, defaultDependents } from "./order.js";
import type { AnyRequest, Protocol } from "./protocol.js";
import { RESPONSE_BYTES } from "./runs.js";
import type { SessionOptions } from "./session.js";
import type { TypeUrl } from "./snapshot.js";
import { sotw } from "./sotw.js";
import type { Standing } from "./standing.js";
import { Departed, type ProxyStatus, type Retention } from "./status.js";
import { type AdsCall, type AdsStream, GrpcAdsStream, type StreamHost } from "./stream.js";
import { Streams } from "./streams.js";
import { Turns } from "./turns.js";
import { uncopied } from "./uncopied-call.js";
import { WaitingRoom } from "./waiting-room.js";

/** Bounds on what clients may ask of the server. Milliseconds, bytes, counts. */
export interface AdsLimits {
  readonly maxRequestBytes: number;
  /** On one connection. */
  readonly maxStreamsPerConnection: number;
  /** On the server. */
  readonly maxStreams: number;
  /** New streams that wait until there is time for them, or that were not heard yet; each may hold its window, 64 KiB. */
  readonly maxWaitingStreams: number;
  /** How long a new stream waits at most. */
  readonly waitMillis: number;
  /** New streams that are read at the same time. */
  readonly maxEnteringStreams: number;
  /** Of requests that wait, of all streams together: while there are more, no new stream is read. */
  readonly maxWaitingBytes: number;
  /** A stream whose first request does not come within it ends, from when it is read, so that it takes nobody's place. */
  readonly firstRequestMillis: number;
  readonly keepaliveMillis: number;
  readonly keepaliveTimeoutMillis: number;
}

export interface AdsOptions extends Partial<SessionOptions> {
  readonly cache: SnapshotCache;
  readonly onConnect: OnConnect;
  /** The last stream of a key ended, or one that ended before it was let in was the only one. */
  readonly onDisconnect?: (key: string) => void;
  /** Until it says true, streams end with UNAVAILABLE, so that nobody is given an empty configuration. */
  readonly synced?: () => boolean;
  readonly onEvent?: EventSink;
  /** What else is served at the same address. */
  readonly services?: readonly {
    readonly definition: ServiceDefinition;
    readonly implementation: UntypedServiceImplementation;
  }[];
  readonly tls?: AdsTls;
  readonly limits?: Partial<AdsLimits>;
  /** How long the status of proxies that went is kept. */
  readonly retention?: Retention;
  readonly clock?: Clock;
}

export interface AdsServer {
  /**
   * Takes "host:port", port 0 for a free one, and resolves with the address that is served. Rejects when it cannot be
   * bound, and when it is not a loopback address and there is no TLS.
   */
  listen(address: string): Promise<string>;
  /** Ends all streams with UNAVAILABLE, which makes proxies reconnect, and frees the address. */
  close(): Promise<void>;
  /** Connected proxies, one entry a stream, then those that went; only those with the key if there is one. */
  status(key?: string): ProxyStatus[];
  /** New streams that are open and not read yet. */
  readonly waitingStreams: number;
  /** Where the key's proxy stands with a resource in this version; undefined when it is not connected. */
  standing(key: string, typeUrl: TypeUrl, name: string, version: string): Standing | undefined;
  /**
   * Serves new connections with another certificate and authority; open ones go on. Throws on what TLS refuses, and
   * when the server was made without TLS.
   */
  replaceTls(tls: AdsTls): void;
}

const DEFAULT_SESSION: SessionOptions = {
  order: DEFAULT_ORDER,
  dependents: defaultDependents,
  quietMillis: 10,
  maxQuietMillis: 1_000,
  answerMillis: 5_000,
  removalDelayMillis: 1_000,
  maxResponseBytes: RESPONSE_BYTES,
  maxTypes: 64,
  maxNames: 100_000,
  maxNameLength: 4_096,
};

const DEFAULT_LIMITS: AdsLimits = {
  maxRequestBytes: 4 * 1024 * 1024,
  maxStreamsPerConnection: 100,
  maxStreams: 10_000,
  maxWaitingStreams: 4_096,
  waitMillis: 40_000,
  maxEnteringStreams: 32,
  maxWaitingBytes: 16 * 1024 * 1024,
  firstRequestMillis: 10_000,
  keepaliveMillis: 30_000,
  keepaliveTimeoutMillis: 10_000,
};

const DEFAULT_RETENTION: Retention = { entries: 1_000, millis: 600_000 };
const BYTES_PER_ROUND = 1024 * 1024;
const TURNS_PER_ROUND = 64;
/** Of all streams together; each has one response on its way at most. */
const MOST_ON_THE_WAY = 16 * 1024 * 1024;
/** A new stream that takes so long to say who it is does not keep others waiting. */
const SLOW_MILLIS = 500;
const CLOSE_GRACE_MILLIS = 1_000;

/** A server that does not listen yet. See AdsOptions and SessionOptions for what can be set, DEFAULT_* for what is. */
export function createAdsServer(options: AdsOptions): AdsServer {
  return new GrpcAdsServer(options);
}

class GrpcAdsServer implements AdsServer, StreamHost {
  readonly cache: SnapshotCache;
  readonly clock: Clock;
  readonly turns = new Turns(BYTES_PER_ROUND, TURNS_PER_ROUND, MOST_ON_THE_WAY, () => this.waitingRoom.askIn());
  readonly waitingRoom: WaitingRoom;
  readonly session: SessionOptions;
  readonly onConnect: OnConnect;
  readonly onEvent: EventSink;
  readonly firstRequestMillis: number;
  readonly #options: AdsOptions;
  readonly #limits: AdsLimits;
  readonly #departed: Departed;
  readonly #streams = new Streams();
  readonly #server: Server;
  readonly #credentials: ReplaceableCredentials | undefined;
  #isClosing = false;

  constructor(options: AdsOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.cache = options.cache;
    this.clock = options.clock ?? systemClock;
    this.session = { ...DEFAULT_SESSION, ...options };
    this.onConnect = options.onConnect;
    this.onEvent = options.onEvent ?? (() => {});
    this.firstRequestMillis = this.#limits.firstRequestMillis;
    this.waitingRoom = new WaitingRoom({
      places: this.#limits.maxWaitingStreams,
      entering: this.#limits.maxEnteringStreams,
      slowMillis: SLOW_MILLIS,
      waitMillis: this.#limits.waitMillis,
      isBusy: () => this.turns.waitingBytes > this.#limits.maxWaitingBytes,
      clock: this.clock,
    });
    this.#departed = new Departed(options.retention ?? DEFAULT_RETENTION);
    this.#credentials = options.tls && new ReplaceableCredentials(options.tls);
    this.#server = new Server({
      "grpc.max_receive_message_length": this.#limits.maxRequestBytes,
      "grpc.max_concurrent_streams": this.#limits.maxStreamsPerConnection,
      "grpc.keepalive_time_ms": this.#limits.keepaliveMillis,
      "grpc.keepalive_timeout_ms": this.#limits.keepaliveTimeoutMillis,
      // Nobody asks for its counts.
      "grpc.enable_channelz": 0,
      interceptors: [uncopied],
    });
    this.#server.addService(service, {
      streamAggregatedResources: (call: AdsCall) => this.#serve(call, sotw),
      deltaAggregatedResources: (call: AdsCall) => this.#serve(call, delta),
    });
    for (const { definition, implementation } of options.services ?? []) {
      this.#server.addService(definition, implementation);
    }
  }

  async listen(address: string): Promise<string> {
    const { host } = parseAddress(address);
    if (this.#credentials === undefined && !isLoopback(host)) {
      throw new Error(`${address}: without TLS only loopback addresses are served`);
    }
    const credentials = this.#credentials ?? ServerCredentials.createInsecure();
    const bound = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(address, credentials, (error, port) => (error ? reject(error) : resolve(port)));
    });
    return address.replace(/:\d+$/, `:${bound}`);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const stream of [...this.#streams]) stream.end(status.UNAVAILABLE, "the control plane is going away");
    await new Promise<void>((resolve) => {
      const force = setTimeout(() => this.#server.forceShutdown(), CLOSE_GRACE_MILLIS);
      this.#server.tryShutdown(() => {
        clearTimeout(force);
        resolve();
      });
    });
  }

  status(key?: string): ProxyStatus[] {
    const streams = key === undefined ? [...this.#streams] : this.#streams.of(key);
    const connected = streams.map((stream) => stream.status()).filter((proxy) => proxy !== undefined);
    const departed = this.#departed.list(this.clock.now());
    return [...connected, ...departed.filter((proxy) => key === undefined || proxy.key === key)];
  }

  get waitingStreams(): number {
    return this.waitingRoom.waiting;
  }

  standing(key: string, typeUrl: TypeUrl, name: string, version: string): Standing | undefined {
    return this.#streams.of(key)[0]?.standing(typeUrl, name, version);
  }

  replaceTls(tls: AdsTls): void {
    if (this.#credentials === undefined) throw new Error("the server was made without TLS");
    this.#credentials.replace(tls);
  }

  opened(stream: AdsStream): void {
    this.#streams.letIn(stream);
    if (stream.key !== undefined) this.#departed.remove(stream.key);
  }

  closed(stream: AdsStream): void {
    this.#streams.delete(stream);
    const { key } = stream;
    if (key === undefined || this.#isConnected(key)) return;
    const last = stream.status();
    if (last === undefined) return;
    this.#departed.add({ ...last, disconnectedAt: this.clock.now() });
    this.#tellDisconnect(key);
  }

  abandoned(key: string): void {
    this.#tellDisconnect(key);
  }

  #tellDisconnect(key: string): void {
    const tell = () => {
      if (!this.#isConnected(key)) this.#options.onDisconnect?.(key);
    };
    const inLine = (take: () => void) => this.turns.request({ bytes: 0, take });
    // A stream of the key whose first request is waiting already, or that is admitted at this very moment, is open by then.
    inLine(() => setImmediate(() => inLine(tell)));
  }

  #isConnected(key: string): boolean {
    return this.#streams.of(key).length > 0;
  }

  #serve<Request extends AnyRequest>(call: AdsCall, protocol: Protocol<Request>): void {
    const refuse = (code: status, details: string) => call.emit("error", { code, details });
    if (this.#isClosing || this.#options.synced?.() === false) {
      refuse(status.UNAVAILABLE, "the control plane is not ready");
    } else if (this.#streams.size >= this.#limits.maxStreams) {
      refuse(status.RESOURCE_EXHAUSTED, "too many streams");
    } else {
      const stream = new GrpcAdsStream(call, protocol, this);
      this.#streams.add(stream);
      this.waitingRoom.arrive(stream);
    }
  }
}

const bytesAsTheyAre = (bytes: Buffer) => bytes;
const method = (name: string) => ({
  path: `/envoy.service.discovery.v3.AggregatedDiscoveryService/${name}`,
  requestStream: true,
  responseStream: true,
  requestSerialize: bytesAsTheyAre,
  requestDeserialize: bytesAsTheyAre,
  // See uncopied-call.ts. All that the library would do with it is to copy it into a buffer of its own.
  responseSerialize: (message: Message) => message as unknown as Buffer,
  responseDeserialize: bytesAsTheyAre,
});

const service: ServiceDefinition = {
  streamAggregatedResources: method("StreamAggregatedResources"),
  deltaAggregatedResources: method("DeltaAggregatedResources"),
};
