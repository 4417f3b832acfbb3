// The schemas of ServiceEntry's and WorkloadEntry's specs: every field of Istio's API, with what Headgate does with it.
import { integer, labels, list, map, type Raw, struct, text, wholeNumber, word, works } from "./schema.js";

const workload = {
  address: works("core", text()),
  ports: works("core", map(wholeNumber("port"), "dnsLabel")),
  labels: works("core", labels()),
  network: works("expected", text()),
  locality: works("expected", text("locality")),
  weight: works("expected", integer()),
  serviceAccount: works("expected", text("objectName")),
};

export const workloadEntrySchema = struct(workload);
export type RawWorkload = Raw<typeof workloadEntrySchema>;

export const serviceEntrySchema = struct(
  {
    hosts: works("core", list(text("host"), 1)),
    addresses: works("expected", list(text("subnet"))),
    ports: works(
      "core",
      list(
        struct(
          {
            number: works("core", wholeNumber("port")),
            protocol: works("core", text("portProtocol")),
            name: works("core", text("dnsLabel")),
            targetPort: works("core", wholeNumber("port")),
          },
          ["number", "name"],
        ),
      ),
    ),
    location: works("core", word("MESH_EXTERNAL", "MESH_INTERNAL")),
    resolution: works("core", word("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS")),
    endpoints: works("core", list(workloadEntrySchema)),
    workloadSelector: works("expected", struct({ labels: works("expected", labels()) })),
    exportTo: works("expected", list(text("exportTo"))),
    subjectAltNames: works("expected", list(text("notEmpty"))),
  },
  ["hosts"],
);
export type RawServiceEntry = Raw<typeof serviceEntrySchema>;
