// Reads files away from the control plane's own thread, which must go on answering proxies meanwhile.
import { existsSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import { makeViolation } from "../resources/violation-at.js";
import { Joining, type Piece } from "./pieces.js";
import { type FileOutcome, type ReadingRequest, readObjects } from "./reading.js";

export interface Reader {
  /** Never rejects: a file that cannot be read within the limits gives a violation. */
  read(request: ReadingRequest): Promise<FileOutcome>;
  /** Gives up what is being read. */
  close(): Promise<void>;
}

/** Milliseconds. The largest file that is allowed takes about 3,000. */
const READING_TIMEOUT = 30_000;
/** The parser makes much that soon is garbage: with the usual young generation a third of the time goes into that. */
const MEMORY = { maxOldGenerationSizeMb: 1_024, maxYoungGenerationSizeMb: 64 };
/** Once a directory was read, files change a few at a time, and 28 MB less are worth more than that third. */
const MEMORY_AFTERWARDS = { ...MEMORY, maxYoungGenerationSizeMb: 12 };
/** A thread that has read so many files is replaced once it rests, for it gives no memory back of itself. */
const MOST_READ = 1_000;
/** Milliseconds. */
const REST = 200;
/** Milliseconds for which pieces are taken in before others get a turn. */
const SLICE = 10;
const COMPILED_THREAD = new URL("./reader-thread.js", import.meta.url);

export interface ReaderOptions {
  /** The module that the thread runs. */
  readonly thread?: URL;
  /** Milliseconds for one file. */
  readonly timeoutMs?: number;
}

/** A reader with a thread of its own; where the code was not compiled, as under a test runner, one without. */
export function createReader({ thread = COMPILED_THREAD, timeoutMs = READING_TIMEOUT }: ReaderOptions = {}): Reader {
  return existsSync(fileURLToPath(thread)) ? new ThreadReader(thread, timeoutMs) : LOCAL_READER;
}

const LOCAL_READER: Reader = {
  async read(request) {
    await nextTurn();
    return readObjects(request);
  },
  async close() {},
};

/** Gives its thread one file at a time; a thread that fails or takes too long is replaced for the next. */
class ThreadReader implements Reader {
  private worker: Worker | undefined;
  private last: Promise<unknown> = Promise.resolve();
  private filesRead = 0;
  private memory = MEMORY;
  private resting: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    private readonly thread: URL,
    private readonly timeoutMs: number,
  ) {
    this.worker = this.start();
  }

  read(request: ReadingRequest): Promise<FileOutcome> {
    clearTimeout(this.resting);
    const reading = this.last.then(() => this.readNow(request));
    this.last = reading;
    void reading.then(() => {
      if (this.last === reading) this.rest();
    });
    return reading;
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.resting);
    await this.worker?.terminate();
    await this.last;
  }

  private rest(): void {
    if (this.closed || this.filesRead < MOST_READ) return;
    this.resting = setTimeout(() => {
      void this.worker?.terminate();
      this.memory = MEMORY_AFTERWARDS;
      this.worker = this.start();
      this.filesRead = 0;
    }, REST);
    this.resting.unref();
  }

  private start(): Worker {
    const worker = new Worker(this.thread, { resourceLimits: this.memory });
    worker.unref();
    worker.on("error", () => this.forget(worker));
    worker.on("exit", () => this.forget(worker));
    return worker;
  }

  private forget(worker: Worker): void {
    if (this.worker === worker) this.worker = undefined;
  }

  private async readNow(request: ReadingRequest): Promise<FileOutcome> {
    if (this.closed) return refusal(request.path);
    this.worker ??= this.start();
    const worker = this.worker;
    this.filesRead++;
    return new Promise((resolve) => {
      const finish = (outcome: FileOutcome) => {
        clearTimeout(timer);
        worker.off("message", take);
        worker.off("exit", fail);
        worker.unref();
        resolve(outcome);
      };
      const take = (pieces: MessagePort) =>
        void takeIn(pieces).then((outcome) => finish(outcome ?? refusal(request.path)));
      const fail = () => {
        this.forget(worker);
        void worker.terminate();
        finish(refusal(request.path));
      };
      const timer = setTimeout(fail, this.timeoutMs);
      worker.on("message", take);
      worker.on("exit", fail);
      worker.ref();
      worker.postMessage(request);
    });
  }
}

/** Takes what lies on a port, with pauses in between; undefined when nothing does. */
async function takeIn(port: MessagePort): Promise<FileOutcome | undefined> {
  const joining = new Joining();
  let since = performance.now();
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    joining.add(next.message as Piece);
    if (performance.now() - since < SLICE) continue;
    await nextTurn();
    since = performance.now();
  }
  port.close();
  return joining.outcome;
}

function refusal(file: string): FileOutcome {
  const message = "The file takes too much time or memory to read; split it.";
  const violation = makeViolation("yaml-limit", "error", [], message, { file, line: 1, column: 1 }, {});
  return { violation, missing: false };
}
