// Says what each edit of a policy changed, what is wrong with it, and which proxies took it over, how soon.
import { setTimeout as sleep } from "node:timers/promises";
import type { RevisionEvent } from "../../publish/revisions.js";
import { violationText } from "../violation-text.js";
import type { Mesh } from "./mesh.js";

const RETRY_MS = 500;
const GATHER_MS = 150;
const INDENT = " ".repeat(10);

export interface FollowedChanges {
  readonly controlPlane: Pick<Mesh["controlPlane"], "events" | "violations">;
  /** The id of the last event that is not told. */
  readonly after: number;
}

/** Prints each change, and what stands wrong at the start, until the signal aborts; then resolves. */
export async function followChanges(
  { controlPlane, after: last }: FollowedChanges,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const follower = new Follower(controlPlane, print);
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  await follower.tellViolations();
  let after = last;
  while (!signal.aborted) {
    // Where this fails it is tried again, or the caller sees that the control plane is gone.
    const asked = controlPlane.events(after).catch(() => undefined);
    const events = await Promise.race([asked, stopped]);
    if (signal.aborted) return;
    if (!events) await sleep(RETRY_MS);
    for (const event of events ?? []) if (event.type === "change") await follower.tellChange(event);
    follower.tellAnswers(events ?? []);
    after = events?.at(-1)?.id ?? after;
    // The proxies' answers come within moments of each other: one line for all of them.
    if (events?.some(({ type }) => type === "change")) await sleep(GATHER_MS);
  }
}

class Follower {
  readonly #controlPlane: FollowedChanges["controlPlane"];
  readonly #print: (line: string) => void;
  #violations: ReadonlySet<string> = new Set();
  #change = { revision: 0, at: 0 };

  constructor(controlPlane: FollowedChanges["controlPlane"], print: (line: string) => void) {
    this.#controlPlane = controlPlane;
    this.#print = print;
  }

  async tellChange(event: RevisionEvent & { readonly type: "change" }): Promise<void> {
    const at = new Date(event.at);
    this.#change = { revision: event.revision, at: at.getTime() };
    const changed = event.changed.map((one) => `${one.kind} ${one.namespace}/${one.name} ${one.change}`);
    this.#print(`${at.toTimeString().slice(0, 8)}  ${changed.join(", ") || "what applies has not changed"}`);
    await this.tellViolations();
  }

  tellAnswers(events: readonly RevisionEvent[]): void {
    const { revision, at } = this.#change;
    const acknowledged = events.filter((event) => event.type === "acknowledged");
    const names = acknowledged.map((event) => proxyName(event.proxy)).sort();
    const times = acknowledged.filter((event) => event.revision === revision).map((event) => Date.parse(event.at) - at);
    const within = times.length > 0 ? ` within ${Math.max(...times)} ms` : "";
    if (names.length > 0) this.#print(`${INDENT}acknowledged${within} by ${names.join(", ")}`);
    for (const event of events)
      if (event.type === "rejected") this.#print(`${INDENT}REJECTED by ${proxyName(event.proxy)}: ${event.error}`);
  }

  /** Those that are new, and those that are gone. */
  async tellViolations(): Promise<void> {
    const found = await this.#controlPlane.violations().catch(() => undefined);
    if (!found) return;
    const now = new Set(found.map(violationText));
    for (const text of now) if (!this.#violations.has(text)) this.#print(`${INDENT}${text}`);
    for (const text of this.#violations) if (!now.has(text)) this.#print(`${INDENT}mended: ${text}`);
    this.#violations = now;
  }
}

/** "reviews-v1" of sidecar~127.0.16.31~reviews-v1.bookinfo~bookinfo.svc.cluster.local */
function proxyName(id: string): string {
  return id.split("~")[2]?.split(".")[0] ?? id;
}
