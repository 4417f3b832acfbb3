// Puts hostile files into a directory that is being followed, and measures how long each holds up the event loop: the
// least of some rounds, because what else the machine does counts too.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { createDirectorySource } from "../../controlplane/sources/directory.js";
import type { SourceState } from "../../controlplane/sources/source.js";
import { hostileFiles } from "./files.js";

/** Milliseconds for which nothing may hold up the control plane's own thread. */
const LONGEST_HOLD = 100;
const MOST_WAIT = 40_000;
const ROUNDS = Number(process.argv[2] ?? 3);

const directory = await mkdtemp(join(tmpdir(), "headgate-hostile-"));
let changes = 0;
let latest: SourceState | undefined;
const source = createDirectorySource({ directory, defaultNamespace: "default" });
await source.start((state) => {
  changes += 1;
  latest = state;
});

async function measure(name: string, text: string): Promise<{ held: number; said: string; took: number }> {
  const path = join(directory, `${name}.yaml`);
  const before = changes;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  await writeFile(path, text);
  const begin = performance.now();
  delay.enable();
  while (changes === before && performance.now() - begin < MOST_WAIT) await sleep(5);
  delay.disable();
  const codes = new Set(latest?.violations.filter(({ position }) => position?.file === path).map(({ code }) => code));
  const said = codes.size === 0 ? "served" : [...codes].join(", ");
  const took = Math.round(performance.now() - begin);
  await rm(path);
  await sleep(500);
  return { held: delay.max / 1e6, said, took };
}

let worst = 0;
for (const [name, text] of hostileFiles()) {
  const rounds = [];
  for (let round = 0; round < ROUNDS; round++) rounds.push(await measure(name, text));
  const held = Math.min(...rounds.map((round) => round.held));
  worst = Math.max(worst, held);
  const { said, took } = rounds[0] ?? { said: "", took: 0 };
  console.log(`${name}: ${Math.round(text.length / 1024)} KiB, ${said} after ${took} ms, held ${held.toFixed(0)} ms`);
}
await source.close();
await rm(directory, { recursive: true });
console.log(`The longest hold was ${worst.toFixed(0)} ms; the most allowed is ${LONGEST_HOLD} ms.`);
process.exitCode = worst > LONGEST_HOLD ? 1 : 0;
