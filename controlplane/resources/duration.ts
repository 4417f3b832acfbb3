// Durations as Istio's objects write them: "10s", "0.5s", "1h30m", "2ms".
import type { Fault } from "./report.js";

const UNIT_IN_MICROS: Readonly<Record<string, number>> = {
  ns: 0.001,
  us: 1,
  µs: 1,
  μs: 1,
  ms: 1_000,
  s: 1_000_000,
  m: 60_000_000,
  h: 3_600_000_000,
};
const DURATION = /^(?:\d+(?:\.\d*)?(?:ns|us|µs|μs|ms|s|m|h))+$/;
const PART = /(\d+(?:\.\d*)?)(ns|us|µs|μs|ms|s|m|h)/g;
const LONGEST_TEXT = 40;
/** A hundred years; beyond that Envoy's own limits refuse it. */
const MAX_MILLIS = 100 * 365.25 * 24 * 3_600_000;

/** The duration in milliseconds, or undefined where the text is none. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (text.length > LONGEST_TEXT || !DURATION.test(text)) return undefined;
  let micros = 0;
  for (const [, amount, unit] of text.matchAll(PART)) micros += Number(amount) * (UNIT_IN_MICROS[unit as string] ?? 0);
  return Math.round(micros) / 1_000;
}

/** What is wrong with a duration that must be at least `minMillis` and whole milliseconds. */
export function checkDuration(text: string, minMillis: number): Fault | undefined {
  const millis = parseDuration(text);
  if (millis === undefined) {
    return invalid(
      `"${text.slice(0, LONGEST_TEXT)}" is no duration; write a number with a unit, as in "10s", "500ms" or "1h30m".`,
    );
  }
  if (millis < minMillis) return invalid(`The duration ${text} is too short; the least is ${minMillis}ms.`);
  if (millis > MAX_MILLIS) return invalid(`The duration ${text} is too long; the most is 100 years.`);
  if (!Number.isInteger(millis)) return invalid(`The duration ${text} is finer than a millisecond; round it.`);
  return undefined;
}

function invalid(message: string): Fault {
  return { code: "invalid-duration", message };
}
