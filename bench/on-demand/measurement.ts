// What a sidecar costs in one of the forms, and what requests through it come to.
import { setTimeout as sleep } from "node:timers/promises";
import { ask } from "../../test/harness/client.js";
import { hostOf } from "../ads/services.js";
import { median } from "../ads/statistics.js";
import { type Form, type Place, start } from "./forms.js";
import type { MemoryFigures } from "./sidecar.js";

export interface FormFigures {
  readonly form: Form;
  readonly readyMillis: number;
  readonly readyCpuMillis: number;
  readonly memoryAtStart: MemoryFigures;
  /** Of hosts that were never asked for before, and of the same hosts again; medians. */
  readonly firstMillis: number;
  readonly nextMillis: number;
  readonly memoryWithUsed: MemoryFigures;
  /** The status for a host that nobody knows, and the median time of such answers. */
  readonly unknownStatus: number;
  readonly unknownMillis: number;
  readonly memoryWithUnknown: MemoryFigures;
  /** While nothing configures the sidecar: the status of a host that was used before, and of another one. */
  readonly awayUsed: number | typeof NO_ANSWER;
  readonly awayNew: number | typeof NO_ANSWER;
  /** Of the same two, once something configures it again. */
  readonly backUsed: number | typeof NO_ANSWER;
  readonly backNew: number | typeof NO_ANSWER;
}

export interface FormOptions extends Place {
  /** So many hosts are asked for. */
  readonly used: number;
  /** So many hosts are asked for that nobody knows, each once. */
  readonly unknown: number;
}

const NO_ANSWER = "none in 3 s";
const PATIENCE_MILLIS = 3_000;
const BACK_MILLIS = 60_000;
const PORT = 10_080;
/** A request that each service's rules send to one cluster: of a split, Envoy asks for the cluster that it drew alone. */
const HEADERS = { "end-user": "jason" };

export async function measureForm(form: Form, options: FormOptions): Promise<FormFigures> {
  const running = await start(form, options);
  const { sidecar } = running;
  try {
    const get = (host: string) => timed(`http://${options.address}:${PORT}/`, host);
    const hosts = Array.from({ length: options.used }, (_, number) => hostOf(number));
    const memoryAtStart = await sidecar.memory();
    const first = await inTurn(hosts, get);
    const next = await inTurn(hosts, get);
    for (const { status } of [...first, ...next]) if (status !== 200) throw new Error(`a known host: ${status}`);
    const memoryWithUsed = await sidecar.memory();
    const strangers = Array.from({ length: options.unknown }, (_, number) => `stranger-${number}.example.com`);
    const unknown = await inTurn(strangers, get);
    const memoryWithUnknown = await sidecar.memory();
    await running.leave();
    const [used = "", unused = ""] = [hosts[0], hostOf(options.scope - 1)];
    const [awayUsed, awayNew] = [(await get(used)).status, (await get(unused)).status];
    await running.comeBack();
    const backNew = await eventually200(() => get(unused));
    return {
      form,
      readyMillis: sidecar.readyMillis,
      readyCpuMillis: sidecar.readyCpuMillis,
      memoryAtStart,
      firstMillis: median(first.map(({ millis }) => millis)),
      nextMillis: median(next.map(({ millis }) => millis)),
      memoryWithUsed,
      unknownStatus: Number(unknown[0]?.status),
      unknownMillis: median(unknown.map(({ millis }) => millis)),
      memoryWithUnknown,
      awayUsed,
      awayNew,
      backUsed: (await get(used)).status,
      backNew,
    };
  } finally {
    await running.close();
  }
}

interface Timed {
  readonly status: number | typeof NO_ANSWER;
  readonly millis: number;
}

async function timed(url: string, host: string): Promise<Timed> {
  const from = performance.now();
  try {
    const { status } = await ask(url, {
      headers: { ...HEADERS, host },
      signal: AbortSignal.timeout(PATIENCE_MILLIS),
    });
    return { status, millis: performance.now() - from };
  } catch {
    return { status: NO_ANSWER, millis: performance.now() - from };
  }
}

async function inTurn(hosts: readonly string[], get: (host: string) => Promise<Timed>): Promise<Timed[]> {
  const results: Timed[] = [];
  for (const host of hosts) results.push(await get(host));
  return results;
}

/** The last status, which is 200 unless that takes too long. */
async function eventually200(get: () => Promise<Timed>): Promise<Timed["status"]> {
  for (const from = performance.now(); ; await sleep(100)) {
    const { status } = await get();
    if (status === 200 || performance.now() - from > BACK_MILLIS) return status;
  }
}
