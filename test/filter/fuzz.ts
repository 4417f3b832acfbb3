// npm run fuzz:filter [-- MINUTES [SEED]]: mutates policy images for minutes on end, and fails on a trap or a hang.
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { type FuzzResult, fuzzImages } from "./image-fuzzer.js";

interface Task {
  readonly seed: number;
  readonly milliseconds: number;
}

/** The filter decides in microseconds: a silence this long is an endless loop. */
const HANG_MILLISECONDS = 30_000;

if (isMainThread) {
  const [minutes = "10", seed = "1"] = process.argv.slice(2);
  watch({ seed: Number(seed), milliseconds: Number(minutes) * 60_000 });
} else {
  const { seed, milliseconds } = workerData as Task;
  parentPort?.postMessage(
    fuzzImages(seed, { images: Number.POSITIVE_INFINITY, milliseconds }, (result) => parentPort?.postMessage(result)),
  );
}

function watch(task: Task): void {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: task });
  let latest: FuzzResult = { images: 0, accepted: 0, refused: 0 };
  const hung = () => {
    console.error(`Hung after image ${latest.images} of seed ${task.seed}`);
    process.exit(1);
  };
  let timer = setTimeout(hung, HANG_MILLISECONDS);
  const show = () => `${latest.images} images: ${latest.accepted} accepted, ${latest.refused} refused`;
  worker.on("message", (result: FuzzResult) => {
    latest = result;
    clearTimeout(timer);
    timer = setTimeout(hung, HANG_MILLISECONDS);
    if (process.stdout.isTTY) process.stdout.write(`\r${show()} `);
  });
  worker.on("error", (error) => {
    console.error(`\n${error.message}`);
    process.exit(1);
  });
  worker.on("exit", () => {
    clearTimeout(timer);
    console.log(`\r${show()}; no trap, no hang`);
  });
}
