// One stream's state and decisions: given requests, snapshots and the time, what to send next. No I/O, no timers.
import type { Rejection } from "./answers.js";
import { resourcesOf } from "./difference.js";
import { Expectations } from "./expectations.js";
import { type Refusal, type RequestLimits, refuse } from "./limits.js";
import { type Dependents, isKnown, mostBytes, type PushOrder, rank } from "./order.js";
import type { AnyRequest, Content, Protocol, Response } from "./protocol.js";
import type { Snapshot, TypeUrl, XdsResource } from "./snapshot.js";
import { type Standing, standingOf } from "./standing.js";
import type { TypeStatus } from "./status.js";
import { Subscription } from "./subscription.js";
import { versionOf } from "./version.js";

export interface SessionOptions extends RequestLimits {
  readonly order: PushOrder;
  readonly dependents: Dependents;
  /** Snapshots are taken over after so many milliseconds without another one, */
  readonly quietMillis: number;
  /** but at most so many after the first that was held back. */
  readonly maxQuietMillis: number;
  /** How long what comes later in the order waits for an answer, or for what the client should ask for. */
  readonly answerMillis: number;
  /** How long after the last change removals wait, for requests that are still on their way to what is removed. */
  readonly removalDelayMillis: number;
  /** About the largest response, where a change can be spread over several; see PushOrder.whole, and weightOf() in runs.ts. */
  readonly maxResponseBytes: number;
}

/** A response was acknowledged, or rejected. */
export interface Answer {
  readonly typeUrl: TypeUrl;
  readonly nonce: string;
  readonly version: string;
  readonly rejection?: Rejection;
}

const NONE_RIPE = -1;
const ALL_RIPE = Number.POSITIVE_INFINITY;

export class Session<Request extends AnyRequest> {
  readonly #subscriptions = new Map<TypeUrl, Subscription>();
  readonly #expectations: Expectations;
  #current: Snapshot | undefined;
  #offered: { readonly snapshot: Snapshot; readonly firstAt: number; readonly due: number } | undefined;
  /** Counts the snapshots taken over. */
  #generation = 0;
  /** Removals of generations up to this one may go out. */
  #ripe = NONE_RIPE;
  #cooling: { readonly generation: number; readonly until: number } | undefined;
  #responses = 0;

  /**
   * `noncePrefix` makes the nonces of this stream differ from those of any other. `wrapped`: the client understands
   * resources in wrappers in the state of the world.
   */
  constructor(
    readonly protocol: Protocol<Request>,
    readonly noncePrefix: string,
    readonly wrapped: boolean,
    readonly options: SessionOptions,
  ) {
    this.#expectations = new Expectations(options.dependents, options.answerMillis);
  }

  /** The newest snapshot. It is taken over once the one before is delivered; of those in between none is kept. */
  offer(snapshot: Snapshot, now: number): void {
    if (this.#current === undefined) {
      this.#adopt(snapshot);
      return;
    }
    const firstAt = this.#offered?.firstAt ?? now;
    const due = Math.min(now + this.options.quietMillis, firstAt + this.options.maxQuietMillis);
    this.#offered = { snapshot, firstAt, due };
  }

  receive(request: Request, now: number): { readonly refusal: Refusal } | { readonly answer: Answer } | undefined {
    const refusal = refuse(this.protocol, request, this.#subscriptions, this.options);
    if (refusal !== undefined) return { refusal };
    const known = this.#subscriptions.get(request.typeUrl);
    if (known !== undefined && this.protocol.isStale(known, request)) return undefined;
    const subscription = known ?? new Subscription(request.typeUrl);
    this.#subscriptions.set(request.typeUrl, subscription);
    const answer = this.#settle(subscription, request, now);
    this.protocol.subscribe(subscription, request, {
      first: known === undefined,
      resources: resourcesOf(this.#current, request.typeUrl),
      generation: this.#generation,
      awaited: this.#expectations.names(request.typeUrl),
    });
    this.#expectations.fulfil(subscription);
    return answer && { answer };
  }

  /** The next response to write, from then on counted as sent; undefined when there is nothing to send now. */
  next(now: number): Response | undefined {
    while (this.#current !== undefined) {
      const response = this.#change(now) ?? this.#removal(now) ?? this.#heartbeat(now);
      if (response !== undefined) return response;
      if (this.#offered === undefined || this.#offered.due > now || !this.#isDelivered(now)) return undefined;
      this.#adopt(this.#offered.snapshot);
    }
    return undefined;
  }

  /** When to call next() though nothing happened; later than `now`, which is the one that next() was called with. */
  wakeAt(now: number): number | undefined {
    const times = [this.#offered?.due, this.#cooling?.until, ...this.#expectations.deadlines];
    for (const { answers, heartbeatAt } of this.#subscriptions.values()) times.push(answers.waitUntil, heartbeatAt);
    const later = times.filter((time) => time !== undefined).filter((time) => time > now);
    return later.length > 0 ? Math.min(...later) : undefined;
  }

  status(): TypeStatus[] {
    const newest = this.#offered?.snapshot ?? this.#current;
    return [...this.#subscriptions.values()].map((subscription) => this.#typeStatus(subscription, newest));
  }

  /** Where the client stands with a resource in this version. */
  standing(typeUrl: TypeUrl, name: string, version: string): Standing {
    const subscription = this.#subscriptions.get(typeUrl);
    return subscription === undefined ? "unwanted" : standingOf(subscription, name, version);
  }

  /** Whether all of the newest snapshot was sent and answered; what nothing refers to may still wait for its removal. */
  isDelivered(now: number): boolean {
    return this.#current !== undefined && this.#offered === undefined && this.#isDelivered(now);
  }

  /** Whether it is delivered, and no response waits for its answer, however long. */
  isAnswered(now: number): boolean {
    return this.isDelivered(now) && this.#active().every(({ answers }) => !answers.outstanding);
  }

  #typeStatus(subscription: Subscription, newest: Snapshot | undefined): TypeStatus {
    const { typeUrl, wildcard, names, held, answers } = subscription;
    const target = resourcesOf(newest, typeUrl);
    const isNewest = this.#current !== undefined && target === resourcesOf(this.#current, typeUrl);
    const isSynced = isNewest && !this.#hasWork(subscription) && !answers.outstanding;
    return {
      typeUrl,
      wildcard,
      names: names.list(),
      resources: held.size,
      targetVersion: versionOf(target),
      sentVersion: answers.sentVersion,
      acknowledgedVersion: answers.acknowledgedVersion,
      nonce: answers.nonce,
      state: answers.rejection !== undefined ? "rejected" : isSynced ? "synced" : "stale",
      ...(answers.rejection !== undefined && { error: answers.rejection }),
      rejections: answers.rejections,
    };
  }

  #settle(subscription: Subscription, request: Request, now: number): Answer | undefined {
    const { typeUrl, answers } = subscription;
    const response = answers.take(request.responseNonce);
    if (response === undefined) return undefined;
    const answer = { typeUrl, nonce: request.responseNonce, version: response.version };
    if (request.errorDetail === undefined) {
      answers.acknowledge(response);
      return answer;
    }
    this.#expectations.cancel(typeUrl, response.names);
    return { ...answer, rejection: answers.reject(response, request.errorDetail.message, now) };
  }

  #adopt(snapshot: Snapshot): void {
    const before = this.#current;
    this.#current = snapshot;
    this.#offered = undefined;
    this.#generation++;
    for (const subscription of this.#subscriptions.values()) {
      const { typeUrl } = subscription;
      subscription.adopt(resourcesOf(before, typeUrl), resourcesOf(snapshot, typeUrl), this.#generation);
    }
  }

  /** The first type in order that has something to send and that nothing before it holds back. */
  #change(now: number): Response | undefined {
    const { order } = this.options;
    const places = this.#active().map((subscription) => ({ subscription, place: this.#place(subscription) }));
    /** The first place with something unsent, and the first with something unanswered or not asked for yet. */
    let unsent = ALL_RIPE;
    let open = Math.min(...this.#expectations.types(now).map((typeUrl) => rank(order, typeUrl, true)), ALL_RIPE);
    for (const { subscription, place } of places.sort((a, b) => a.place - b.place)) {
      const isAwaited = subscription.answers.isAwaited(now);
      const isHeldBack = order.warming.has(subscription.typeUrl)
        ? !subscription.isAsked && place > unsent
        : place > Math.min(unsent, open);
      const mayFollow = !isAwaited || (subscription.isAsked && !subscription.answers.full);
      if (this.#hasWork(subscription) && !isHeldBack && mayFollow) {
        const response = this.#compose(subscription, this.#removesAtOnce(subscription) ? ALL_RIPE : NONE_RIPE, now);
        if (response !== undefined) return response;
      }
      if (this.#hasWork(subscription)) unsent = Math.min(unsent, place);
      if (isAwaited) open = Math.min(open, place);
    }
    return undefined;
  }

  /** The first type in order with removals that are ripe, once every change was sent and answered. */
  #removal(now: number): Response | undefined {
    if (!this.#isDelivered(now) || this.#keepsLastGood()) return undefined;
    this.#ripen(now);
    const place = ({ typeUrl }: Subscription) => {
      const index = this.options.order.removals.indexOf(typeUrl);
      return index === -1 ? this.options.order.removals.length : index;
    };
    for (const subscription of this.#active().sort((a, b) => place(a) - place(b))) {
      if (![...subscription.removals.values()].some((generation) => generation <= this.#ripe)) continue;
      const response = this.#compose(subscription, this.#ripe, now);
      if (response !== undefined) return response;
    }
    return undefined;
  }

  /** Whether the client rejected something that stands, so that what it had before may still refer to anything. */
  #keepsLastGood(): boolean {
    return this.#active().some(({ typeUrl, answers }) => {
      const resources = resourcesOf(this.#current, typeUrl);
      return !this.options.order.warming.has(typeUrl) && answers.suspects.some((name) => resources.has(name));
    });
  }

  /** Removals cool from the moment on that nothing refers to them any more, and only the delivered ones ripen. */
  #ripen(now: number): void {
    this.#cool(now);
    if (this.#cooling === undefined || now < this.#cooling.until) return;
    this.#ripe = this.#cooling.generation;
    this.#cooling = undefined;
    // Nothing may be left to send of these, if the client wants none of them any more: others must not wait for it.
    this.#cool(now);
  }

  #cool(now: number): void {
    const isGreen = (generation: number) => generation > this.#ripe;
    if (this.#cooling !== undefined) return;
    if (!this.#active().some(({ removals }) => [...removals.values()].some(isGreen))) return;
    this.#cooling = { generation: this.#generation, until: now + this.options.removalDelayMillis };
  }

  /** Tells the client of one type that what has a TTL still holds. */
  #heartbeat(now: number): Response | undefined {
    for (const subscription of this.#active()) {
      const { typeUrl, heartbeatAt, answers, held } = subscription;
      if (heartbeatAt === undefined || heartbeatAt > now || answers.full) continue;
      subscription.heartbeatAt = undefined;
      const resources = [...resourcesOf(this.#current, typeUrl).values()].filter(
        (resource) => resource.ttlMillis !== undefined && held.get(resource.name)?.version === resource.version,
      );
      if (resources.length === 0) continue;
      if (!this.protocol.takesHeartbeats(typeUrl)) {
        subscription.answerDue = true;
        return this.#change(now);
      }
      return this.#sent(subscription, { resources, removed: [], fresh: [], version: answers.sentVersion }, now, true);
    }
    return undefined;
  }

  #compose(subscription: Subscription, ripe: number, now: number): Response | undefined {
    const { typeUrl } = subscription;
    const isAsked = subscription.isAsked;
    const resources = resourcesOf(this.#current, typeUrl);
    const most = mostBytes(this.options.order, typeUrl, this.options.maxResponseBytes);
    const content = this.protocol.compose(subscription, resources, ripe, most);
    if (content === undefined) return undefined;
    subscription.wasAsked = isAsked;
    const lookUp = (type: TypeUrl) => ({
      subscription: this.#subscriptions.get(type),
      resources: resourcesOf(this.#current, type),
    });
    this.#expectations.follow(typeUrl, content.fresh, lookUp, now);
    return this.#sent(subscription, content, now, false);
  }

  #sent(subscription: Subscription, content: Content, now: number, heartbeat: boolean): Response {
    const { typeUrl, answers } = subscription;
    const nonce = `${this.noncePrefix}${++this.#responses}`;
    const { resources, fresh, removed } = content;
    const isAllFresh = fresh.length === resources.length && removed.length === 0;
    const names = isAllFresh ? fresh : [...resources.map(({ name }) => name), ...removed];
    answers.sent(nonce, { version: content.version, names }, now + this.options.answerMillis);
    if (this.protocol.name === "delta" || this.wrapped) {
      subscription.heartbeatAt = earlier(subscription.heartbeatAt, heartbeatDue(content.resources, now));
    }
    return { ...content, typeUrl, nonce, heartbeat, wrapped: this.wrapped };
  }

  /** Whether all of the current snapshot, removals aside, was sent and answered or given up. */
  #isDelivered(now: number): boolean {
    const isOpen = (subscription: Subscription) => this.#hasWork(subscription) || subscription.answers.isAwaited(now);
    return this.#expectations.types(now).length === 0 && !this.#active().some(isOpen);
  }

  /** Types that nobody knows are remembered, and nothing is said of them until a snapshot has them. */
  #active(): Subscription[] {
    const isActive = ({ typeUrl }: Subscription) =>
      this.#current?.resources.has(typeUrl) || isKnown(this.options.order, typeUrl);
    return [...this.#subscriptions.values()].filter(isActive);
  }

  #removesAtOnce({ typeUrl }: Subscription): boolean {
    return this.options.order.removedAtOnce.has(typeUrl);
  }

  #hasWork(subscription: Subscription): boolean {
    return subscription.hasWork || (subscription.removals.size > 0 && this.#removesAtOnce(subscription));
  }

  #place(subscription: Subscription): number {
    const isAsked = subscription.isAsked || (subscription.wasAsked && subscription.answers.outstanding);
    return rank(this.options.order, subscription.typeUrl, isAsked);
  }
}

/** Heartbeats come at half of the shortest life. */
function heartbeatDue(resources: readonly XdsResource[], now: number): number | undefined {
  let shortest = Number.POSITIVE_INFINITY;
  for (const { ttlMillis } of resources) if (ttlMillis !== undefined && ttlMillis < shortest) shortest = ttlMillis;
  return shortest === Number.POSITIVE_INFINITY ? undefined : now + Math.max(shortest / 2, 10);
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}
