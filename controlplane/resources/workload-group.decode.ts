// Decodes WorkloadGroup.
import { labelsOf } from "./fields.js";
import type { Report } from "./report.js";
import { decodeWorkload } from "./service-entry.decode.js";
import type { WorkloadGroupSpec } from "./workload-group.js";
import type { RawWorkloadGroup } from "./workload-group.schema.js";

/** Istio: what differs from one workload to another is not the template's. */
const NOT_OF_A_TEMPLATE = ["address", "labels"] as const;

export function decodeWorkloadGroup(raw: RawWorkloadGroup, report: Report): WorkloadGroupSpec {
  const template = raw.template ?? {};
  for (const name of NOT_OF_A_TEMPLATE) {
    if (template[name] == null) continue;
    const instead = name === "labels" ? "; write spec.metadata.labels" : "";
    report.warning(
      "ignored-field",
      ["spec", "template", name],
      `A template has no ${name}: each workload has its own${instead}.`,
    );
  }
  return {
    metadata: { labels: labelsOf(raw.metadata?.labels), annotations: labelsOf(raw.metadata?.annotations) },
    template: decodeWorkload(template),
  };
}
