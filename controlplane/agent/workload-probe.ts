// Whether the workload beside the proxy serves, asked again and again: part of the proxy's readiness.
import { request } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface WorkloadProbeOptions {
  /** http://HOST:PORT/PATH, which must answer 200 to 399, or tcp://HOST:PORT, which must take a connection. */
  readonly target: URL;
  readonly periodMs: number;
  readonly timeoutMs: number;
  /** So many failures in a row make a workload that served count as failed. */
  readonly failures: number;
}

export interface WorkloadProbe {
  /** What is wrong, in words for a person; undefined while the workload serves. It has not served before the first success. */
  readonly failure: string | undefined;
  close(): void;
}

/** Probes at once and then every period, until close. */
export function probeWorkload({ target, periodMs, timeoutMs, failures }: WorkloadProbeOptions): WorkloadProbe {
  const closed = new AbortController();
  let failure: string | undefined = `${target.href} has not been asked yet`;
  let inARow = failures;
  const run = async () => {
    while (!closed.signal.aborted) {
      const found = await probeOnce(target, timeoutMs);
      inARow = found === undefined ? 0 : inARow + 1;
      if (inARow === 0) failure = undefined;
      else if (inARow >= failures) failure = `${target.href}: ${found}`;
      await sleep(periodMs, undefined, { signal: closed.signal }).catch(() => {});
    }
  };
  void run();
  return {
    get failure() {
      return failure;
    },
    close: () => closed.abort(),
  };
}

/** Undefined when the workload serves; never rejects. */
function probeOnce(target: URL, timeoutMs: number): Promise<string | undefined> {
  const host = target.hostname.replace(/^\[|\]$/g, "");
  const signal = AbortSignal.timeout(timeoutMs);
  const told = (error: Error) => (signal.aborted ? `no answer within ${timeoutMs} ms` : error.message);
  return new Promise((resolve) => {
    if (target.protocol === "tcp:") {
      const socket = connect({ host, port: Number(target.port), signal });
      socket.once("connect", () => {
        socket.destroy();
        resolve(undefined);
      });
      socket.once("error", (error) => resolve(told(error)));
      return;
    }
    const asked = request({ host, port: target.port, path: target.pathname + target.search, agent: false, signal });
    asked.once("response", (response) => {
      const { statusCode = 0 } = response;
      resolve(statusCode >= 200 && statusCode < 400 ? undefined : `it answers ${statusCode}`);
      response.resume().on("error", () => {});
    });
    asked.on("error", (error) => resolve(told(error)));
    asked.end();
  });
}
