// The control planes that share a storage: which of them moves rollouts, and what the others see of their own proxies.
import type { Report } from "./report.js";

export interface Peers {
  /**
   * Begins to take part, once it is known what is stored or the signal aborts. Rejects where the storage is for one control
   * plane, and another has it.
   */
  start(signal?: AbortSignal): Promise<void>;
  /** Whether this one may move rollouts now. */
  readonly leads: boolean;
  /** Something is to be moved, so one of them must lead. */
  seek(): void;
  /** Tells the others what this one sees of a rollout; to be called as often as there is something to see. */
  tell(rollout: string, report: Report): void;
  /** What each of the others that are there told last of the rollout. */
  heard(rollout: string): readonly Report[];
  /** Milliseconds in which every other one will have told what it sees of something new. */
  readonly patience: number;
  close(): Promise<void>;
}
