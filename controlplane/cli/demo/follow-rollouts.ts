// Says how versions of filters that a person rolls out in the demo get on.
import { setTimeout as sleep } from "node:timers/promises";
import { DirectoryRollouts } from "../../rollout/directory-rollouts.js";
import { rolloutText } from "../rollout-text.js";

const POLL_MS = 300;

/** Prints each rollout of the registry's directory when it begins, goes on and ends, until the signal aborts. */
export async function followRollouts(
  directory: string,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const store = new DirectoryRollouts(directory);
  const list = async () =>
    (await store.list().catch(() => [])).map((rollout): [string, string] => [rollout.plan.id, rolloutText(rollout)]);
  let told = new Map(await list());
  while (!signal.aborted) {
    const now = new Map(await list());
    for (const [id, text] of now) if (told.get(id) !== text) print(`${new Date().toTimeString().slice(0, 8)}  ${text}`);
    told = now;
    await sleep(POLL_MS, undefined, { signal }).catch(() => {});
  }
}
