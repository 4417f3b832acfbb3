// A client of one Envoy's admin interface, as far as the agent needs it.
import { request } from "node:http";

export interface AdminAddress {
  readonly host: string;
  readonly port: number;
}

export interface AdminAnswer {
  readonly status: number;
  readonly body: string;
}

/** Asks the admin interface; rejects when it cannot be reached or is silent for longer than timeoutMs. */
export function askAdmin(
  address: AdminAddress,
  method: "GET" | "POST",
  path: string,
  timeoutMs = 2000,
): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: address.host, port: address.port, method, path, agent: false, timeout: timeoutMs },
      (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          body += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
        response.on("error", reject);
      },
    );
    asked.on("timeout", () => asked.destroy(new Error(`no answer from Envoy's admin interface to ${path}`)));
    asked.on("error", reject);
    asked.end();
  });
}

/**
 * Counters and gauges whose name matches a regular expression (RE2, found anywhere in the name), by name.
 * Envoy lists a statistic only once something has touched it, so an absent one counts as 0. timeoutMs is askAdmin's.
 */
export async function readStats(
  address: AdminAddress,
  filter: string,
  timeoutMs?: number,
): Promise<ReadonlyMap<string, number>> {
  const answer = await askAdmin(address, "GET", `/stats?format=json&filter=${encodeURIComponent(filter)}`, timeoutMs);
  if (answer.status !== 200) throw new Error(`Envoy's admin interface answered ${answer.status}: ${answer.body}`);
  const { stats } = JSON.parse(answer.body) as { stats: { name?: string; value?: unknown }[] };
  const values = new Map<string, number>();
  for (const { name, value } of stats) if (name !== undefined && typeof value === "number") values.set(name, value);
  return values;
}

/** Parses what --admin-address-path wrote: HOST:PORT, or [HOST]:PORT for IPv6. Undefined while it is incomplete. */
export function parseAdminAddress(text: string): AdminAddress | undefined {
  const found = /^\[?([^\]\s]+?)\]?:(\d+)\s*$/.exec(text);
  return found?.[1] && found[2] ? { host: found[1], port: Number(found[2]) } : undefined;
}
