// The schema of a StagedRollout's spec.
import { flag, list, map, type Raw, struct, text, wholeNumber } from "./schema.js";

const sticky = struct({
  header: text("headerName"),
  cookie: text("notEmpty"),
  queryParameter: text("notEmpty"),
  sourceAddress: flag(),
  salt: text(),
});
export type RawSticky = Raw<typeof sticky>;

const rampStep = struct({ at: text("timestamp"), weights: map(wholeNumber("weight")) }, ["at", "weights"]);
export type RawRampStep = Raw<typeof rampStep>;

const override = struct({ header: text("headerName"), values: map(text("notEmpty")) }, ["header", "values"]);

export const stagedRolloutSchema = struct(
  { virtualService: text("objectName"), route: text("notEmpty"), sticky, ramp: list(rampStep), override },
  ["virtualService", "route"],
);
export type RawStagedRollout = Raw<typeof stagedRolloutSchema>;
