// What is kept of an object as it arrives from the cluster: the fields that are decoded, so that an update of any other
// is none, and a large cluster takes little memory.
import type { KubeObject } from "../kube/object.js";
import type { Kind } from "../resources/kinds.js";

type Value = Readonly<Record<string, unknown>>;

/** Of annotations to objects that are no policies only these count. */
const OWN_ANNOTATION = /(^|\.)(istio\.io|headgate\.dev)\//;
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
/** Opaque secrets that have none of these hold something else than certificates. */
const CERTIFICATE_KEYS = ["cert", "tls.crt", "cacert", "ca.crt"];

/** The object in its fields that count; undefined where none does. */
export function pickFields(kind: Kind, apiVersion: string, object: KubeObject): Value | undefined {
  const metadata = metadataOf(object, kind in PICKERS);
  if (!(kind in PICKERS)) {
    const { status, ...rest } = object;
    return { ...rest, apiVersion, kind, metadata };
  }
  const picked = PICKERS[kind as PickedKind](object);
  return picked === undefined ? undefined : { apiVersion, kind, metadata, ...picked };
}

type PickedKind = "Service" | "EndpointSlice" | "Pod" | "Node" | "Namespace" | "Secret";

const PICKERS: Readonly<Record<PickedKind, (object: KubeObject) => Value | undefined>> = {
  Service: ({ spec }) => ({
    spec: pick(
      spec,
      "type",
      "externalName",
      "clusterIP",
      "clusterIPs",
      "selector",
      "ports",
      "publishNotReadyAddresses",
    ),
  }),
  EndpointSlice: ({ addressType, endpoints, ports }) => ({
    addressType,
    endpoints: each(endpoints, (endpoint) => ({
      ...pick(endpoint, "addresses", "zone", "nodeName"),
      conditions: pick(endpoint.conditions, "ready"),
      targetRef: pick(endpoint.targetRef, "kind", "namespace", "name"),
    })),
    ports,
  }),
  Pod: ({ spec, status }) => ({
    spec: {
      ...pick(spec, "nodeName", "serviceAccountName"),
      containers: each(fields(spec).containers, (container) => pick(container, "ports")),
    },
    status: {
      ...pick(status, "phase", "podIP", "podIPs"),
      conditions: each(fields(status).conditions, (condition) => pick(condition, "type", "status")),
    },
  }),
  Node: () => ({}),
  Namespace: () => ({}),
  Secret: ({ type, data }) => {
    const wanted = type !== "Opaque" || CERTIFICATE_KEYS.some((key) => key in fields(data));
    return wanted ? { type, data } : undefined;
  },
};

function metadataOf({ metadata }: KubeObject, brief: boolean): Value {
  const { name, namespace, labels, creationTimestamp } = metadata;
  const annotations = Object.entries(metadata.annotations ?? {}).filter(([key]) =>
    brief ? OWN_ANNOTATION.test(key) : key !== LAST_APPLIED,
  );
  const all = { name, namespace, labels, creationTimestamp, annotations: Object.fromEntries(annotations) };
  return pick(all, "name", "namespace", "labels", "annotations", "creationTimestamp");
}

function pick(from: unknown, ...names: readonly string[]): Value {
  const source = fields(from);
  return Object.fromEntries(names.filter((name) => source[name] !== undefined).map((name) => [name, source[name]]));
}

function fields(value: unknown): Value {
  return typeof value === "object" && value !== null ? (value as Value) : {};
}

function each(list: unknown, change: (item: Value) => Value): readonly Value[] {
  return Array.isArray(list) ? list.map((item) => change(fields(item))) : [];
}
