// A pod that is to be made -> the JSON patch that gives it a sidecar.
import {
  CAPTURE_ANNOTATION,
  CAPTURE_ARGS_ANNOTATION,
  type InjectionSettings,
  type Pod,
  SIDECAR,
  sidecarOf,
} from "./sidecar.js";

/** RFC 6902; nothing is ever taken from a pod. */
export interface PatchOperation {
  readonly op: "add";
  readonly path: string;
  readonly value: unknown;
}

/** What is to be said of a pod, and of which of its fields. */
export interface InjectionNotice {
  readonly path: readonly string[];
  readonly message: string;
}

export interface Injection {
  /** Empty where the pod stays as it is. */
  readonly patch: readonly PatchOperation[];
  readonly warnings: readonly InjectionNotice[];
  /** Why the pod must not be made as it is. */
  readonly error?: InjectionNotice;
}

/** A pod that has the sidecar already, or wants none, is left alone, so that asking again changes nothing. */
export function inject(pod: Pod, settings: InjectionSettings): Injection {
  const { spec = {}, metadata = {} } = pod;
  const names = [...(spec.initContainers ?? []), ...(spec.containers ?? [])].map(({ name }) => name);
  if (names.includes(SIDECAR) || metadata.labels?.["headgate.dev/inject"] === "false") return left();
  if (spec.hostNetwork) {
    const message = "A pod on its node's network gets no sidecar: it would capture the whole node's traffic.";
    return left({ path: ["spec", "hostNetwork"], message });
  }
  const capture = metadata.annotations?.[CAPTURE_ANNOTATION] ?? "redirect";
  if (capture !== "redirect" && capture !== "none") {
    const message = `The annotation ${CAPTURE_ANNOTATION} is "${capture}": write redirect or none.`;
    return { ...left(), error: { path: ["metadata", "annotations", CAPTURE_ANNOTATION], message } };
  }
  const warnings =
    capture === "none" && metadata.annotations?.[CAPTURE_ARGS_ANNOTATION] !== undefined
      ? [
          {
            path: ["metadata", "annotations", CAPTURE_ARGS_ANNOTATION],
            message: `The annotation ${CAPTURE_ARGS_ANNOTATION} has no effect: nothing is captured.`,
          },
        ]
      : [];
  const { initContainers, volumes, annotations } = sidecarOf(pod, settings);
  return {
    patch: [
      ...insertAll("/spec/initContainers", spec.initContainers, initContainers),
      ...insertAll("/spec/volumes", spec.volumes, volumes),
      ...setAll("/metadata/annotations", metadata.annotations, annotations),
    ],
    warnings,
  };
}

function left(...warnings: readonly InjectionNotice[]): Injection {
  return { patch: [], warnings };
}

/** Before what is there already. */
function insertAll(path: string, present: readonly unknown[] | undefined, values: readonly unknown[]) {
  if (present === undefined) return [add(path, values)];
  return values.map((value, index) => add(`${path}/${index}`, value));
}

function setAll(path: string, present: object | undefined, values: Readonly<Record<string, string>>) {
  const entries = Object.entries(values);
  if (entries.length === 0) return [];
  if (present === undefined) return [add(path, values)];
  return entries.map(([key, value]) => add(`${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, value));
}

function add(path: string, value: unknown): PatchOperation {
  return { op: "add", path, value };
}
