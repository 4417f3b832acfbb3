// A thread that sends requests at a rate, or as fast as they are answered, over connections that are kept; and notes of each
// how long it took and whether the right backend answered. As small as can be: it shares the machine with what it measures.
import { connect, type Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import type { LoadCommand, LoadReport, LoadTarget } from "./steady-load.js";

const TICK_MS = 2;
const { targets, connections } = workerData as { targets: readonly LoadTarget[]; connections: number };

/** Requests a second, all targets together; 0 for as many as are answered. */
let rate = 0;
let running = false;
let inFlight = 0;
let noted = emptyNotes();
let onIdle = () => {};

function emptyNotes() {
  return { requests: 0, outcomes: {} as Record<string, number>, ends: [] as number[], latencies: [] as number[] };
}

class Lane {
  readonly #target: LoadTarget;
  readonly #idle: Socket[] = [];
  /** When requests were due that no connection was free for. */
  readonly #waiting: number[] = [];

  constructor(target: LoadTarget) {
    this.#target = target;
  }

  open(): void {
    for (let i = 0; i < connections; i++) this.#connect();
  }

  /** A request that is late counts as slow from when it was due. */
  send(dueAt: number): void {
    const socket = this.#idle.pop();
    inFlight++;
    if (socket) this.#ask(socket, dueAt);
    else this.#waiting.push(dueAt);
  }

  startAll(): void {
    for (let i = 0; i < connections; i++) this.send(performance.now());
  }

  #connect(): void {
    const { host, port } = this.#target;
    const socket = connect({ host, port, noDelay: true });
    socket.once("connect", () => this.#free(socket));
  }

  #free(socket: Socket): void {
    const dueAt = this.#waiting.shift();
    if (dueAt === undefined) this.#idle.push(socket);
    else this.#ask(socket, dueAt);
  }

  #ask(socket: Socket, dueAt: number): void {
    let answer = "";
    const done = (outcome: string, lives: boolean) => {
      socket.removeAllListeners();
      noted.requests++;
      noted.outcomes[outcome] = (noted.outcomes[outcome] ?? 0) + 1;
      noted.ends.push(performance.timeOrigin + performance.now());
      noted.latencies.push(performance.now() - dueAt);
      inFlight--;
      if (running && rate === 0) {
        inFlight++;
        this.#waiting.push(performance.now());
      }
      if (lives) this.#free(socket);
      else this.#connect();
      if (inFlight === 0) onIdle();
    };
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString("latin1");
      const head = answer.indexOf("\r\n\r\n");
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(answer)?.[1] ?? Number.NaN);
      if (head < 0 || answer.length < head + 4 + length) return;
      const status = answer.slice(9, 12);
      const backend = answer.slice(head + 4);
      const isRight = status === "200" && backend === this.#target.backend;
      done(isRight ? "right" : status === "200" ? `misrouted to ${backend}` : `status ${status}`, true);
    });
    socket.once("error", (error) => done(`broken: ${error.message}`, false));
    socket.once("close", () => done("broken: closed", false));
    socket.write(this.#target.request);
  }
}

const lanes = targets.map((target) => new Lane(target));
for (const lane of lanes) lane.open();

parentPort?.on("message", (command: LoadCommand) => {
  if (command.kind === "start") {
    rate = command.rate;
    running = true;
    noted = emptyNotes();
    if (rate === 0) for (const lane of lanes) lane.startAll();
    else pace();
  } else {
    running = false;
    onIdle = report;
    if (inFlight === 0) report();
  }
});

function pace(): void {
  const beganAt = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    if (!running) return clearInterval(timer);
    const now = performance.now();
    for (; sent < ((now - beganAt) * rate) / 1000; sent++)
      lanes[sent % lanes.length]?.send(beganAt + (sent * 1000) / rate);
  }, TICK_MS);
}

function report(): void {
  onIdle = () => {};
  const { requests, outcomes, ends, latencies } = noted;
  const told: LoadReport = {
    requests,
    outcomes,
    ends: Float64Array.from(ends),
    latencies: Float64Array.from(latencies),
  };
  parentPort?.postMessage(told);
}
