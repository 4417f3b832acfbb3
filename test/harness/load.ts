// Requests under way while something else happens, and what became of them.
import { Agent } from "node:http";
import { type Answered, ask } from "./client.js";

export interface LoadResult {
  readonly requests: number;
  /** Requests that got no answer at all, by error. */
  readonly broken: readonly string[];
  /** How often each outcome came, by the name that `name` gave it. */
  readonly outcomes: Readonly<Record<string, number>>;
}

export interface Load {
  /** Lets the requests under way finish and tells. */
  stop(): Promise<LoadResult>;
}

export interface LoadOptions {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** With https, where each request has a connection of its own: whom to trust and ask for. */
  readonly tls?: { readonly ca: string; readonly serverName: string };
  /** Requests under way at any time. */
  readonly concurrency: number;
  /** Names an outcome; the status by default. */
  readonly name?: (answer: Answered) => string;
}

/** Sends requests, over connections that are kept, until it is stopped. */
export function startLoad(options: LoadOptions): Load {
  let stopped = false;
  const finished = send(options, () => !stopped);
  return {
    stop() {
      stopped = true;
      return finished;
    },
  };
}

/** Sends a fixed number of requests. */
export function sendMany(count: number, options: LoadOptions): Promise<LoadResult> {
  let left = count;
  return send(options, () => left-- > 0);
}

async function send(options: LoadOptions, another: () => boolean): Promise<LoadResult> {
  const { url, headers, tls, concurrency, name = ({ status }) => String(status) } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const outcomes: Record<string, number> = {};
  const broken: string[] = [];
  let requests = 0;
  const worker = async () => {
    while (another()) {
      requests++;
      try {
        const outcome = name(await ask(url, { headers: { ...headers }, ...(tls ?? { agent }) }));
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      } catch (error) {
        broken.push(String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  agent.destroy();
  return { requests, broken, outcomes };
}
