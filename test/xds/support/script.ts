// A real gRPC client that plays a proxy by a script: it sends what it is told and hands out what it is sent.
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Client, type ClientDuplexStream, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  type Resource,
  ResourceSchema,
} from "../../../controlplane/gen/envoy/service/discovery/v3/discovery_pb.js";

type Variant = "delta" | "sotw";
export type DeltaRequest = MessageInitShape<typeof DeltaDiscoveryRequestSchema>;
export type SotwRequest = MessageInitShape<typeof DiscoveryRequestSchema>;

const METHODS = { delta: "DeltaAggregatedResources", sotw: "StreamAggregatedResources" } as const;
const SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService";

/** A response, whichever the variant. Resources as "name@version", or "name@version~" for a heartbeat without body. */
export interface Received {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly version: string;
  readonly resources: readonly string[];
  readonly removed: readonly string[];
  /** Milliseconds, one for each resource. */
  readonly ttls: readonly (number | undefined)[];
}

/** One stream. Requests are for the node `id` until one of them brings its own. */
export class ScriptedStream {
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly #received: Received[] = [];
  readonly #waiting: ((received: Received) => void)[] = [];
  readonly ended: Promise<{ readonly code: number; readonly details: string }>;
  #isFirst = true;

  constructor(
    client: Client,
    readonly variant: Variant,
    readonly id: string,
    metadata = new Metadata(),
  ) {
    const asIs = (bytes: Buffer) => bytes;
    this.#call = client.makeBidiStreamRequest(`${SERVICE}/${METHODS[variant]}`, asIs, asIs, metadata);
    this.#call.on("data", (bytes: Buffer) => this.#deliver(variant === "delta" ? readDelta(bytes) : readSotw(bytes)));
    this.ended = new Promise((resolve) => {
      this.#call.on("error", (error: ServiceError) => resolve({ code: error.code, details: error.details }));
      this.#call.on("status", (status) => resolve({ code: status.code, details: status.details }));
    });
  }

  /** Subscribes as a first request does: to names, or to everything when there are none. */
  subscribe(typeUrl: string, ...names: string[]): void {
    if (this.variant === "delta") this.send({ typeUrl, resourceNamesSubscribe: names });
    else this.send({ typeUrl, resourceNames: names });
  }

  send(request: DeltaRequest & SotwRequest): void {
    const node = this.#isFirst ? { node: { id: this.id, cluster: "test" } } : {};
    this.#isFirst = false;
    this.sendBytes(
      this.variant === "delta"
        ? toBinary(
            DeltaDiscoveryRequestSchema,
            create(DeltaDiscoveryRequestSchema, { ...node, ...request } as DeltaRequest),
          )
        : toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, { ...node, ...request } as SotwRequest)),
    );
  }

  sendBytes(bytes: Uint8Array): void {
    this.#call.write(Buffer.from(bytes));
  }

  /** In the state of the world, `names` is what the client is subscribed to: it says so with every request. */
  ack(received: Received, ...names: string[]): void {
    const { typeUrl, nonce, version } = received;
    if (this.variant === "delta") this.send({ typeUrl, responseNonce: nonce });
    else this.send({ typeUrl, responseNonce: nonce, versionInfo: version, resourceNames: names });
  }

  nack(received: Received, message: string, ...names: string[]): void {
    const { typeUrl, nonce } = received;
    const errorDetail = { code: 3, message };
    if (this.variant === "delta") this.send({ typeUrl, responseNonce: nonce, errorDetail });
    else this.send({ typeUrl, responseNonce: nonce, errorDetail, resourceNames: names });
  }

  /** The next response, whenever it comes. */
  receive(): Promise<Received> {
    const next = this.#received.shift();
    if (next !== undefined) return Promise.resolve(next);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The next response, acknowledged. */
  async accept(...names: string[]): Promise<Received> {
    const received = await this.receive();
    this.ack(received, ...names);
    return received;
  }

  /** What has arrived and was not yet received. */
  get arrived(): readonly Received[] {
    return this.#received;
  }

  /** Stops reading, so that flow control holds the server back. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  cancel(): void {
    this.#call.cancel();
  }

  #deliver(received: Received): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting(received);
    else this.#received.push(received);
  }
}

export function connect(address: string): Client {
  return new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
}

function readDelta(bytes: Uint8Array): Received {
  const { typeUrl, nonce, systemVersionInfo, resources, removedResources } = fromBinary(
    DeltaDiscoveryResponseSchema,
    bytes,
  );
  return {
    typeUrl,
    nonce,
    version: systemVersionInfo,
    resources: resources.map(describe),
    removed: removedResources,
    ttls: resources.map(ttlMillis),
  };
}

function readSotw(bytes: Uint8Array): Received {
  const { typeUrl, nonce, versionInfo, resources } = fromBinary(DiscoveryResponseSchema, bytes);
  const unwrapped = resources.map((any) => anyUnpack(any, ResourceSchema) ?? create(ResourceSchema, { resource: any }));
  return {
    typeUrl,
    nonce,
    version: versionInfo,
    resources: unwrapped.map(describe),
    removed: [],
    ttls: unwrapped.map(ttlMillis),
  };
}

function describe({ name, version, resource }: Resource): string {
  return resource === undefined ? `${name}@${version}~` : new TextDecoder().decode(resource.value);
}

function ttlMillis({ ttl }: Resource): number | undefined {
  return ttl && Number(ttl.seconds) * 1000 + ttl.nanos / 1_000_000;
}
