// The demo's control plane: `headgate serve` as a process of its own, and what its admin tells.
import { setTimeout as sleep } from "node:timers/promises";
import type { ProxyView } from "../../admin/proxies.js";
import type { RevisionEvent } from "../../publish/revisions.js";
import type { Violation } from "../../resources/violation.js";
import type { FilterView } from "../../rollout/view.js";
import { readAdmin } from "../admin-client.js";
import { type Program, startProgram } from "./programs.js";

const POLL_MS = 20;
const EVENT_WAIT_SECONDS = 20;
const SETTLE_TIMEOUT_MS = 20_000;

export interface Addresses {
  readonly ads: string;
  readonly admin: string;
}

export class ControlPlane {
  readonly #program: Program<Addresses>;

  private constructor(program: Program<Addresses>) {
    this.#program = program;
  }

  /** Serves what the arguments have it read; port 0 for any. Rejects with ProgramFailed. */
  static async start(
    reading: readonly string[],
    namespace: string,
    addresses: Addresses,
    onLog?: (line: string) => void,
  ): Promise<ControlPlane> {
    const { ads, admin } = addresses;
    const args = ["serve", ...reading, "--namespace", namespace, "--ads", ads, "--admin", admin];
    return new ControlPlane(await startProgram<Addresses>(["bin", "headgate.mjs"], args, onLog));
  }

  get addresses(): Addresses {
    return this.#program.hello;
  }

  get exited(): Promise<unknown> {
    return this.#program.child.exited;
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }

  /** Events after an id; waits a while for the first one. */
  async events(after: number, waitSeconds = EVENT_WAIT_SECONDS): Promise<readonly RevisionEvent[]> {
    return (await this.#read<{ events: RevisionEvent[] }>(`/events?after=${after}&wait=${waitSeconds}`)).events;
  }

  /** The id of the newest event. */
  async lastEvent(): Promise<number> {
    return (await this.events(0, 0)).at(-1)?.id ?? 0;
  }

  async violations(): Promise<readonly Violation[]> {
    return (await this.#read<{ violations: Violation[] }>("/violations")).violations;
  }

  proxies(): Promise<{ readonly revision: number; readonly proxies: readonly ProxyView[] }> {
    return this.#read("/proxies");
  }

  /** Versions of filters by proxy, and their rollouts. */
  filters(): Promise<FilterView> {
    return this.#read("/filters");
  }

  /** Resolves when every one of so many proxies has acknowledged a revision; rejects if one rejects it, or with time. */
  async acknowledged(revision: number, proxies: number): Promise<void> {
    const deadline = Date.now() + SETTLE_TIMEOUT_MS;
    let waiting: readonly ProxyView[] = [];
    while (Date.now() < deadline) {
      const connected = (await this.proxies()).proxies.filter((proxy) => proxy.connected);
      const rejected = connected.flatMap((proxy) =>
        Object.values(proxy.types).filter(({ state }) => state === "rejected"),
      );
      if (rejected[0]) throw new Error(`a proxy rejected its configuration: ${rejected[0].lastError?.message}`);
      waiting = connected.filter((proxy) => proxy.acknowledgedRevision < revision);
      if (connected.length >= proxies && waiting.length === 0) return;
      await sleep(POLL_MS);
    }
    throw new Error(`no acknowledgement of revision ${revision} by ${waiting.map((proxy) => proxy.id).join(", ")}`);
  }

  async #read<T>(path: string): Promise<T> {
    const answer = await readAdmin(this.addresses.admin, path);
    if ("error" in answer) throw new Error(answer.error);
    return answer.value as T;
  }
}
