// What one replica tells the leading one of its proxies: counts for each generation of each policy, in few bytes.
import { createHash } from "node:crypto";
import { push } from "../mesh/workloads.js";
import type { Count } from "./acknowledgements.js";

/** By policyId. A policy that is not there in this generation has not been taken in by the replica yet. */
export type Report = ReadonlyMap<string, Count>;

const ID_LENGTH = 8;
const MOST_ERRORS = 50;
const MOST_ERROR_LENGTH = 500;

/** Names one generation of one object, in 8 characters. */
export function policyId({ uid, generation }: { readonly uid: string; readonly generation: number }): string {
  return createHash("sha1").update(`${uid}/${generation}`).digest("base64url").slice(0, ID_LENGTH);
}

/** The same text for the same report: the ids of all policies with the same counts in a row. */
export function encodeReport(report: Report): string {
  const ids = new Map<string, string[]>();
  const errors: Record<string, string> = {};
  for (const [id, { concerned, acknowledged, rejected, error }] of [...report].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const counts = `${concerned}/${acknowledged}/${rejected}`;
    push(ids, counts, id);
    if (error !== undefined && Object.keys(errors).length < MOST_ERRORS) errors[id] = error.slice(0, MOST_ERROR_LENGTH);
  }
  const counts = Object.fromEntries([...ids].sort().map(([key, list]) => [key, list.join("")]));
  return JSON.stringify({ counts, errors });
}

/** Undefined for what is no report. */
export function decodeReport(text: string): Report | undefined {
  try {
    const { counts, errors } = JSON.parse(text) as {
      readonly counts: Readonly<Record<string, string>>;
      readonly errors: Readonly<Record<string, string>>;
    };
    const report = new Map<string, Count>();
    for (const [key, ids] of Object.entries(counts)) {
      const [concerned = 0, acknowledged = 0, rejected = 0] = key.split("/").map(Number);
      for (let at = 0; at < ids.length; at += ID_LENGTH) {
        const id = ids.slice(at, at + ID_LENGTH);
        const error = errors[id];
        report.set(id, { concerned, acknowledged, rejected, ...(error === undefined ? {} : { error }) });
      }
    }
    return report;
  } catch {
    return undefined;
  }
}
