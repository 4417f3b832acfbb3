// Decodes an object's metadata.
import { labelsOf } from "./fields.js";
import type { ObjectMeta } from "./resource.js";
import { labels, map, openStruct, type Raw, type Schema, struct, text, works } from "./schema.js";

const read = {
  name: works("core", text("objectName")),
  namespace: works("core", text("dnsLabel")),
  labels: works("core", labels()),
  annotations: works("core", map(text())),
  creationTimestamp: works("core", text()),
};
const anything: Schema<unknown> = {};

/** The metadata of Istio's kinds: Kubernetes' fields and no others. */
export const strictMetadataSchema = struct({
  ...read,
  generateName: anything,
  selfLink: anything,
  uid: anything,
  resourceVersion: anything,
  generation: anything,
  deletionTimestamp: anything,
  deletionGracePeriodSeconds: anything,
  ownerReferences: anything,
  finalizers: anything,
  managedFields: anything,
});

/** The metadata of Kubernetes' own kinds, of which only what is used here is checked. */
export const openMetadataSchema = openStruct(read);

export function decodeMetadata(raw: Raw<typeof openMetadataSchema>, defaultNamespace: string): ObjectMeta {
  const created = Date.parse(raw.creationTimestamp ?? "");
  return {
    name: raw.name ?? "",
    namespace: raw.namespace || defaultNamespace,
    labels: labelsOf(raw.labels),
    annotations: labelsOf(raw.annotations),
    createdAt: Number.isNaN(created) ? 0 : created,
  };
}
