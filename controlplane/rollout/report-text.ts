// Reports as text, as replicas tell them to each other.
import type { Figures } from "./observations.js";
import type { Report } from "./report.js";

/** Positions of a ranking that are told; where a step reaches farther, its share stands for them. */
const MOST_POSITIONS = 200;
const MOST_FAILURE_LENGTH = 1_000;

type DurationsText = readonly (readonly [number | null, number])[];
type FiguresText = Omit<Figures, "durations"> & { readonly durations: DurationsText };

type ReportText = Omit<Report, "canary" | "late" | "others" | "before"> & {
  readonly canary: FiguresText;
  readonly late: DurationsText;
  readonly others: FiguresText;
  readonly before: FiguresText;
};

/** `at` tells one report from the next; the text has about 7,000 characters at most. */
export function encodeReport(report: Report, at: string): string {
  const { canary, late, others, before, ranking, failure, ...rest } = report;
  return JSON.stringify({
    at,
    ...rest,
    ...(failure === undefined ? {} : { failure: failure.slice(0, MOST_FAILURE_LENGTH) }),
    ...{ canary: encodeFigures(canary), others: encodeFigures(others), before: encodeFigures(before) },
    late: encodeDurations(late),
    ranking: { count: ranking.count, lowest: ranking.lowest.slice(0, MOST_POSITIONS) },
  });
}

/** Undefined for what is no report. */
export function decodeReport(text: string): Report | undefined {
  try {
    const { step, failure, canaries, heldMillis, canary, late, others, before, ranking } = JSON.parse(
      text,
    ) as ReportText;
    return {
      step: numberOf(step),
      ...(failure === undefined ? {} : { failure: String(failure) }),
      canaries: numberOf(canaries),
      ...(heldMillis === undefined ? {} : { heldMillis: numberOf(heldMillis) }),
      canary: decodeFigures(canary),
      late: decodeDurations(late),
      others: decodeFigures(others),
      before: decodeFigures(before),
      ranking: { count: numberOf(ranking.count), lowest: ranking.lowest.map(numberOf) },
    };
  } catch {
    return undefined;
  }
}

function encodeFigures({ durations, ...counts }: Figures): FiguresText {
  return { ...counts, durations: encodeDurations(durations) };
}

function decodeFigures({ requests, errors, failures, durations }: FiguresText): Figures {
  return {
    requests: numberOf(requests),
    errors: numberOf(errors),
    failures: numberOf(failures),
    durations: decodeDurations(durations),
  };
}

/** JSON has no infinity. */
function encodeDurations(durations: Figures["durations"]): DurationsText {
  return [...durations].map(([bound, count]) => [Number.isFinite(bound) ? bound : null, count]);
}

function decodeDurations(durations: DurationsText): Figures["durations"] {
  return new Map(
    durations.map(([bound, count]) => [bound === null ? Number.POSITIVE_INFINITY : numberOf(bound), numberOf(count)]),
  );
}

function numberOf(value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new Error("that is no number");
  return value;
}
