// The schema of WorkloadGroup's spec.
import { checked, labels, map, type Raw, refused, struct, text } from "./schema.js";
import { workloadEntrySchema } from "./service-entry.schema.js";

export const workloadGroupSchema = struct(
  {
    metadata: checked(
      "expected",
      struct({ labels: checked("expected", labels()), annotations: checked("expected", map(text(), "labelKey")) }),
    ),
    template: checked("expected", workloadEntrySchema),
    probe: refused("rare"),
  },
  ["template"],
);
export type RawWorkloadGroup = Raw<typeof workloadGroupSchema>;
