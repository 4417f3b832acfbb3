// Decodes a StagedRollout and checks what its fields say together.
import { exactlyOne, mapOf, maybe, namesOfSet, nonEmpty, present } from "./fields.js";
import type { Report } from "./report.js";
import type { RampStep, StagedRolloutSpec, StickyKey } from "./staged-rollout.js";
import type { RawRampStep, RawStagedRollout, RawSticky } from "./staged-rollout.schema.js";

const REFINEMENTS = ["sticky", "ramp", "override"];
const STICKY_KEYS = ["header", "cookie", "queryParameter", "sourceAddress"];

export function decodeStagedRollout(raw: RawStagedRollout, report: Report): StagedRolloutSpec {
  if (report.sound(["spec"]) && namesOfSet(raw, REFINEMENTS).length === 0) {
    report.error("missing-field", ["spec"], `A StagedRollout needs at least one of ${REFINEMENTS.join(", ")}.`);
  }
  const ramp = (raw.ramp ?? []).map((step, index) => decodeStep(step, index, report));
  reportDisorder(ramp, report);
  return present({
    virtualService: raw.virtualService ?? "",
    route: raw.route ?? "",
    sticky: maybe(raw.sticky, (sticky) => decodeSticky(sticky, report)),
    ramp,
    override: maybe(raw.override, ({ header, values }) => ({
      header: (header ?? "").toLowerCase(),
      values: mapOf(values, (destination) => destination),
    })),
  });
}

function decodeSticky(raw: RawSticky, report: Report): StagedRolloutSpec["sticky"] {
  const path = ["spec", "sticky"];
  exactlyOne(raw, STICKY_KEYS, path, report);
  if (raw.sourceAddress === false) {
    report.error("invalid-value", [...path, "sourceAddress"], "Only true has a meaning; leave the field out instead.");
  }
  return present({ key: stickyKey(raw), salt: nonEmpty(raw.salt) });
}

function stickyKey(raw: RawSticky): StickyKey {
  if (raw.header != null) return { type: "header", name: raw.header.toLowerCase() };
  if (raw.cookie != null) return { type: "cookie", name: raw.cookie };
  if (raw.queryParameter != null) return { type: "queryParameter", name: raw.queryParameter };
  return { type: "sourceAddress" };
}

function decodeStep(raw: RawRampStep, index: number, report: Report): RampStep {
  const weights = mapOf(raw.weights, (weight) => weight);
  const sum = [...weights.values()].reduce((total, weight) => total + weight, 0);
  if (report.sound(["spec", "ramp", index]) && sum === 0) {
    const message = "All weights are 0, so no destination would get requests; give one a weight.";
    report.error("invalid-weight", ["spec", "ramp", index, "weights"], message);
  }
  return { at: Date.parse(raw.at ?? ""), weights };
}

function reportDisorder(ramp: readonly RampStep[], report: Report): void {
  for (const [index, step] of ramp.entries()) {
    const before = ramp[index - 1];
    if (!before || !(step.at <= before.at)) continue;
    const message = `Steps stand in rising time; this one is not later than ramp[${index - 1}].`;
    report.error("invalid-value", ["spec", "ramp", index, "at"], message);
  }
}
