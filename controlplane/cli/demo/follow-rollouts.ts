// Says how versions of filters that a person rolls out in the demo get on.
import { setTimeout as sleep } from "node:timers/promises";
import { DirectoryRollouts } from "../../rollout/directory-rollouts.js";
import { rolloutText } from "../rollout-text.js";

const POLL_MS = 300;

/** How each rollout of a registry's directory stands, in words, by its id. */
export async function standingRollouts(directory: string): Promise<ReadonlyMap<string, string>> {
  const rollouts = await new DirectoryRollouts(directory).list().catch(() => []);
  return new Map(rollouts.map((rollout) => [rollout.plan.id, rolloutText(rollout)]));
}

/** Prints each rollout when it begins, goes on and ends, until the signal aborts; `before` is how they stood, which is not told. */
export async function followRollouts(
  { directory, before }: { readonly directory: string; readonly before: ReadonlyMap<string, string> },
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let told = before;
  while (!signal.aborted) {
    const now = await standingRollouts(directory);
    for (const [id, text] of now) if (told.get(id) !== text) print(`${new Date().toTimeString().slice(0, 8)}  ${text}`);
    told = now;
    await sleep(POLL_MS, undefined, { signal }).catch(() => {});
  }
}
