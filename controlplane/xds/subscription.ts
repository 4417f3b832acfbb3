// What one stream knows of one type: what the client wants, what it holds, what it still has to get. No I/O.
import { Answers } from "./answers.js";
import { askedRun } from "./asked-runs.js";
import { difference, type ResourceMap } from "./difference.js";
import { Holdings } from "./holdings.js";
import { Names } from "./names.js";
import { type Run, runsOf } from "./runs.js";
import type { TypeUrl } from "./snapshot.js";
import { versionOf } from "./version.js";

/** All that there is, on its way to a client that held nothing of it. */
interface Load {
  readonly resources: ResourceMap;
  /** What is still to be sent; undefined before the first was. */
  runs?: readonly Run[];
}

export class Subscription {
  wildcard = false;
  /** Names were given at some time, so that giving none no longer means all of them. */
  explicit = false;
  readonly names = new Names();
  readonly held = new Holdings();
  /** While it lasts, `pending` has only what is not of the load. */
  load: Load | undefined;
  /** Names whose version differs from the one held, and that are not asked for anyway. */
  readonly pending = new Set<string>();
  /** Names that must be answered whether or not they differ, or even exist. */
  readonly asked = new Names();
  /** Names that are held but gone, with the generation of the first snapshot that no longer had them. */
  readonly removals = new Map<string, number>();
  /** A response is due even if it is empty. */
  answerDue = false;
  /** The last response held something the client had asked for. */
  wasAsked = false;
  /** When to tell the client that what carries a TTL still holds, in the clock's milliseconds. */
  heartbeatAt: number | undefined;
  readonly answers = new Answers();

  constructor(readonly typeUrl: TypeUrl) {}

  covers(name: string): boolean {
    return this.wildcard || this.names.has(name);
  }

  /** The client waits for something. */
  get isAsked(): boolean {
    return this.answerDue || this.asked.size > 0;
  }

  /** Something is to be sent, removals aside. */
  get hasWork(): boolean {
    return this.isAsked || this.load !== undefined || this.pending.size > 0;
  }

  /** The client no longer wants the name, and is taken to hold nothing of it. */
  forget(name: string): void {
    this.endLoad();
    this.held.delete(name);
    this.pending.delete(name);
    this.asked.delete(name);
    this.removals.delete(name);
    this.answers.forget(name);
  }

  /** Forgets whatever is no longer covered, after the wildcard went. */
  forgetUncovered(): void {
    this.endLoad();
    const known = new Set([...this.held.keys(), ...this.asked, ...this.pending]);
    for (const name of known) if (!this.covers(name)) this.forget(name);
    if (!this.wildcard && this.names.size === 0) this.answerDue = false;
  }

  /** Compares what is covered with what is held: for a new subscription or a first snapshot. */
  align(resources: ResourceMap, generation: number): void {
    this.endLoad();
    this.alignNames(this.wildcard ? resources.keys() : this.names, resources, generation);
    for (const name of this.held.keys()) this.#noteRemoval(name, resources, generation);
  }

  /** The same for some names that are covered, where all others are held as they are. */
  alignNames(names: Iterable<string>, resources: ResourceMap, generation: number): void {
    for (const name of names) {
      this.#compare(name, resources);
      this.#noteRemoval(name, resources, generation);
    }
  }

  /** Takes over the next snapshot; costs what differs between the two. */
  adopt(before: ResourceMap, after: ResourceMap, generation: number): void {
    if (before === after) return;
    this.endLoad();
    const { changed, removed } = difference(before, after);
    const version = versionOf(after, before);
    for (const name of changed) if (this.covers(name)) this.#compare(name, after);
    for (const name of removed) this.#noteRemoval(name, after, generation);
    if (!this.hasWork && this.removals.size === 0) this.answers.carryOver(versionOf(before), version);
  }

  /** Sends all resources, to a client under a wildcard that holds nothing and asked for no name. */
  startLoad(resources: ResourceMap): void {
    this.load = resources.size > 0 ? { resources } : undefined;
  }

  /** The next resources of the load, from now on taken to be held; about so many bytes at most. */
  takeRun({ resources, runs }: Load, maxBytes: number): Run | undefined {
    const [next, ...left] = runs ?? runsOf(resources, maxBytes);
    this.load = left.length > 0 ? { resources, runs: left } : undefined;
    if (next) this.held.add(next.byName);
    return next;
  }

  /** The first resources that were asked for, from now on taken to be held, where others ask for the same and hold none. */
  takeAsked(resources: ResourceMap, maxBytes: number): Run | undefined {
    if (this.load !== undefined || this.pending.size > 0 || this.removals.size > 0) return undefined;
    const run = askedRun(this.asked, resources, maxBytes);
    if (run === undefined || !this.held.hasNoneOf(run.byName)) return undefined;
    this.asked.deleteAll(run.names);
    this.held.add(run.byName);
    return run;
  }

  /** What is left of a load is due name by name. */
  endLoad(): void {
    if (this.load === undefined) return;
    const { resources, runs } = this.load;
    const names = runs === undefined ? resources.keys() : runs.flatMap((run) => run.names);
    for (const name of names) this.pending.add(name);
    this.load = undefined;
  }

  /** Something was sent. A client that holds all there is, and nothing else, shares that with others. */
  settle(resources: ResourceMap): void {
    if (this.hasWork || this.removals.size > 0 || this.held.size !== resources.size) return;
    this.held.isExactly(resources);
  }

  #compare(name: string, resources: ResourceMap): void {
    const resource = resources.get(name);
    if (resource === undefined) return;
    this.removals.delete(name);
    if (this.held.get(name)?.version === resource.version) this.pending.delete(name);
    else if (!this.asked.has(name)) this.pending.add(resource.name);
  }

  #noteRemoval(name: string, resources: ResourceMap, generation: number): void {
    if (resources.has(name)) return;
    this.pending.delete(name);
    if (this.held.has(name) && !this.removals.has(name)) this.removals.set(name, generation);
  }
}
