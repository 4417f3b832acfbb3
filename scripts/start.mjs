// `npm start`: set-up, then the demo, in this very process, so that a signal reaches it.
import { readFileSync } from "node:fs";
import { setup } from "./setup.mjs";
import { main } from "./steps.mjs";

await main(setup);
endWithNpm();
process.argv.splice(1, 1, "headgate", "demo");
await import("../bin/headgate.mjs");

/** npm passes signals on, but a killed npm cannot: whoever kills it means the demo too. Linux only, by /proc. */
function endWithNpm() {
  const npm = [process.ppid, parentOf(process.ppid)].find((pid) => /\bnpm\b/.test(read(pid, "cmdline")));
  if (!npm) return;
  const watch = setInterval(() => {
    if (read(npm, "cmdline")) return;
    clearInterval(watch);
    process.kill(process.pid, "SIGTERM");
  }, 500);
  watch.unref();
}

function parentOf(pid) {
  return Number(/\) \S (\d+)/.exec(read(pid, "stat"))?.[1] ?? 0);
}

function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
