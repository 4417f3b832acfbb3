// One ADS stream: reads requests from a gRPC call and writes what its session decides, one response at a time.
import { randomBytes } from "node:crypto";
import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import { hostOf } from "./address.js";
import type { SnapshotCache } from "./cache.js";
import type { Clock } from "./clock.js";
import { identify, type NodeIdentity, type OnConnect, type Peer } from "./connect.js";
import type { EventSink } from "./events.js";
import type { Message } from "./message.js";
import type { AnyRequest, Protocol } from "./protocol.js";
import { Session, type SessionOptions } from "./session.js";
import type { TypeUrl } from "./snapshot.js";
import type { Standing } from "./standing.js";
import type { ProxyStatus } from "./status.js";
import type { Turns } from "./turns.js";
import type { Visitor, WaitingRoom } from "./waiting-room.js";

export type AdsCall = ServerDuplexStream<Buffer, Message>;

/** What a stream needs of its server. */
export interface StreamHost {
  readonly cache: SnapshotCache;
  readonly clock: Clock;
  readonly turns: Turns;
  readonly waitingRoom: WaitingRoom;
  readonly session: SessionOptions;
  readonly onConnect: OnConnect;
  readonly onEvent: EventSink;
  /** How long a stream's first request may take, once it is read. */
  readonly firstRequestMillis: number;
  /** The stream was let in. */
  opened(stream: AdsStream): void;
  /** A stream ended while it was decided that it would be let in under this key. */
  abandoned(key: string): void;
  /** Called once, for a stream that was let in and for one that was not. */
  closed(stream: AdsStream): void;
}

export interface AdsStream {
  /** Undefined until the stream was let in. */
  readonly key: string | undefined;
  status(): ProxyStatus | undefined;
  standing(typeUrl: TypeUrl, name: string, version: string): Standing;
  /** Ends the stream with a gRPC status. */
  end(code: status, message: string): void;
}

const SOTW_WRAPPER_FEATURES = ["xds.config.resource-in-sotw", "xds.config.supports-resource-in-sotw"];

/** A client that takes so long to read a response no longer keeps others from getting theirs. */
const STALLED_MILLIS = 1_000;

/** Serves the call until it ends, from when it has its turn in the waiting room. */
export class GrpcAdsStream<Request extends AnyRequest> implements AdsStream, Visitor {
  #node: NodeIdentity | undefined;
  #key: string | undefined;
  #session: Session<Request> | undefined;
  #isWriting = false;
  #isClosed = false;
  #wasDelivered = false;
  #wasAnswered = false;
  #unwatch: () => void = () => {};
  #cancelTimer: () => void = () => {};
  /** What was written last is no longer on its way. */
  #arrived: () => void = () => {};
  readonly #connectedAt: number;
  readonly #peer: Peer;

  constructor(
    readonly call: AdsCall,
    readonly protocol: Protocol<Request>,
    readonly host: StreamHost,
  ) {
    this.#connectedAt = host.clock.now();
    const certificate = call.getAuthContext().sslPeerCertificate;
    this.#peer = {
      address: call.getPeer(),
      protocol: protocol.name,
      ...(certificate !== undefined && { certificate }),
    };
    call.on("end", () => call.end());
    call.on("close", () => this.#close());
    call.on("cancelled", () => this.#close());
    call.on("error", () => this.#close());
  }

  get address(): string {
    return hostOf(this.#peer.address);
  }

  enter(): void {
    const { clock, firstRequestMillis } = this.host;
    this.#cancelTimer = clock.after(firstRequestMillis, () =>
      this.end(status.DEADLINE_EXCEEDED, "the first request did not come in time"),
    );
    this.call.on("data", (bytes: Buffer) => this.#lineUp(bytes));
  }

  turnAway(reason: string): void {
    this.end(status.RESOURCE_EXHAUSTED, reason);
  }

  get key(): string | undefined {
    return this.#key;
  }

  status(): ProxyStatus | undefined {
    if (this.#key === undefined || this.#node === undefined || this.#session === undefined) return undefined;
    return {
      key: this.#key,
      nodeId: this.#node.id,
      peer: this.#peer.address,
      protocol: this.protocol.name,
      connectedAt: this.#connectedAt,
      types: this.#session.status(),
    };
  }

  standing(typeUrl: TypeUrl, name: string, version: string): Standing {
    return this.#session?.standing(typeUrl, name, version) ?? "unwanted";
  }

  end(code: status, message: string): void {
    if (!this.#isClosed) this.call.emit("error", { code, details: message });
  }

  /** Writes one response if there is one and the one before has left; otherwise sleeps until there may be. */
  takeTurn(): number {
    return this.#guard(() => this.#write()) ?? 0;
  }

  #write(): number {
    if (this.#isWriting || this.#isClosed || this.#session === undefined) return 0;
    const now = this.host.clock.now();
    const response = this.#session.next(now);
    if (response === undefined) {
      this.#sleep(this.#session.wakeAt(now), now);
      this.#tellDelivery(this.#session.isDelivered(now), this.#session.isAnswered(now));
      return 0;
    }
    const message = this.protocol.encode(response);
    const { byteLength: bytes } = message;
    this.#isWriting = true;
    this.#arrived = this.host.turns.sent(bytes);
    const cancelStalled = this.host.clock.after(STALLED_MILLIS, this.#arrived);
    this.call.write(message, () => {
      cancelStalled();
      this.#arrived();
      this.#isWriting = false;
      this.#wake();
    });
    const { typeUrl, version, nonce, heartbeat } = response;
    const counts = { resources: response.resources.length, removed: response.removed.length, bytes };
    this.host.onEvent({ type: "push", key: this.#key ?? "", typeUrl, version, nonce, heartbeat, ...counts });
    return bytes;
  }

  #tellDelivery(isDelivered: boolean, isAnswered: boolean): void {
    const key = this.#key ?? "";
    if (isDelivered && !this.#wasDelivered) this.host.onEvent({ type: "delivered", key });
    if (isAnswered && !this.#wasAnswered) this.host.onEvent({ type: "answered", key });
    this.#wasDelivered = isDelivered;
    this.#wasAnswered = isAnswered;
  }

  /** A defect that one stream brings to light ends that stream alone. */
  #guard<Result>(work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  #fail(error: unknown): void {
    this.host.onEvent({ type: "fault", key: this.#key ?? "", error });
    this.end(status.INTERNAL, "the control plane failed on this stream");
  }

  /** The next request is read when this one was taken in, and the second one when the stream was let in. */
  #lineUp(bytes: Buffer): void {
    this.call.pause();
    if (this.#session === undefined) {
      this.#cancelTimer();
      this.host.waitingRoom.heard(this);
    }
    this.host.turns.request({ bytes: bytes.length, take: () => this.#guard(() => this.#take(bytes)) });
  }

  #take(bytes: Buffer): void {
    if (this.#isClosed) return;
    const request = this.#decode(bytes);
    if (request === undefined) return;
    if (this.#session === undefined) {
      void this.#admit(request);
      return;
    }
    this.#receive(this.#session, request);
    this.call.resume();
  }

  #decode(bytes: Buffer): Request | undefined {
    try {
      return this.protocol.decode(bytes);
    } catch {
      this.end(status.INVALID_ARGUMENT, "the request cannot be decoded");
      return undefined;
    }
  }

  async #admit(request: Request): Promise<void> {
    const node = identify(request.node);
    if ("error" in node) {
      this.end(status.INVALID_ARGUMENT, node.error);
      return;
    }
    try {
      const admission = await this.host.onConnect(node, this.#peer, this.call.metadata);
      if ("error" in admission) this.end(admission.error.code, admission.error.message);
      // Many are let in at the same moment, once what they wait for in common is there.
      else
        this.host.turns.request({ bytes: 0, take: () => this.#guard(() => this.#open(node, admission.key, request)) });
    } catch (error) {
      this.#fail(error);
    }
  }

  #open(node: NodeIdentity, key: string, request: Request): void {
    if (this.#isClosed) {
      this.host.abandoned(key);
      return;
    }
    const wrapped = node.clientFeatures.some((feature) => SOTW_WRAPPER_FEATURES.includes(feature));
    const session = new Session(this.protocol, `${randomBytes(6).toString("hex")}-`, wrapped, this.host.session);
    this.#node = node;
    this.#key = key;
    this.#session = session;
    this.host.opened(this);
    this.host.waitingRoom.leave(this);
    this.host.onEvent({
      type: "connect",
      key,
      nodeId: node.id,
      peer: this.#peer.address,
      protocol: this.protocol.name,
    });
    const snapshot = this.host.cache.get(key);
    if (snapshot !== undefined) session.offer(snapshot, this.host.clock.now());
    this.#unwatch = this.host.cache.watch(key, (_, next) =>
      this.#guard(() => {
        session.offer(next, this.host.clock.now());
        this.#wasDelivered = false;
        this.#wasAnswered = false;
        this.#wake();
      }),
    );
    this.#receive(session, request);
    this.call.resume();
  }

  #receive(session: Session<Request>, request: Request): void {
    const outcome = session.receive(request, this.host.clock.now());
    if (outcome !== undefined && "refusal" in outcome) {
      this.end(status[outcome.refusal.code], outcome.refusal.message);
      return;
    }
    if (outcome !== undefined) {
      const { rejection, ...answer } = outcome.answer;
      const key = this.#key ?? "";
      if (rejection === undefined) this.host.onEvent({ type: "ack", key, ...answer });
      else this.host.onEvent({ type: "nack", key, ...answer, error: rejection.message, names: rejection.names });
    }
    this.#wake();
  }

  #wake(): void {
    if (!this.#isClosed) this.host.turns.enter(this);
  }

  #sleep(until: number | undefined, now: number): void {
    this.#cancelTimer();
    this.#cancelTimer = until === undefined ? () => {} : this.host.clock.after(until - now, () => this.#wake());
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelTimer();
    this.#unwatch();
    this.#arrived();
    this.host.turns.leave(this);
    this.host.waitingRoom.leave(this);
    this.host.closed(this);
    if (this.#key !== undefined) this.host.onEvent({ type: "disconnect", key: this.#key });
  }
}
