// The schema of WorkloadGroup's spec.
import { labels, map, type Raw, refused, struct, text, works } from "./schema.js";
import { workloadEntrySchema } from "./service-entry.schema.js";

export const workloadGroupSchema = struct(
  {
    metadata: works(
      "expected",
      struct({ labels: works("expected", labels()), annotations: works("expected", map(text(), "labelKey")) }),
    ),
    template: works("expected", workloadEntrySchema),
    probe: refused("rare"),
  },
  ["template"],
);
export type RawWorkloadGroup = Raw<typeof workloadGroupSchema>;
