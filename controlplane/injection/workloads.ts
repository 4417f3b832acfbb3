// A Kubernetes object -> the pods that it makes, by where their templates stand.
import type { Pod } from "./sidecar.js";

export interface PodTemplate {
  /** From the object down to the template. */
  readonly path: readonly (string | number)[];
  readonly pod: Pod;
}

/** A template that is none: its path, and what is wrong there. */
export interface TemplateFault {
  readonly path: readonly (string | number)[];
  readonly code: "wrong-type";
  readonly message: string;
}

export interface FoundTemplates {
  readonly templates: readonly PodTemplate[];
  readonly faults: readonly TemplateFault[];
}

const TEMPLATE = ["spec", "template"] as const;
/** API group and kind -> where the template is. */
const WORKLOADS: Readonly<Record<string, readonly string[]>> = {
  "/Pod": [],
  "/ReplicationController": TEMPLATE,
  "apps/Deployment": TEMPLATE,
  "apps/StatefulSet": TEMPLATE,
  "apps/DaemonSet": TEMPLATE,
  "apps/ReplicaSet": TEMPLATE,
  "batch/Job": TEMPLATE,
  "batch/CronJob": ["spec", "jobTemplate", ...TEMPLATE],
};

type Path = readonly (string | number)[];
type Fields = Readonly<Record<string, unknown>>;

/** Those of a List are found too; an object that makes no pods has none. */
export function podTemplatesIn(object: unknown): FoundTemplates {
  const [templates, faults]: [PodTemplate[], TemplateFault[]] = [[], []];
  collect(object, [], templates, faults);
  return { templates, faults };
}

function collect(object: unknown, at: Path, templates: PodTemplate[], faults: TemplateFault[]): void {
  if (!isFields(object)) return;
  const { apiVersion, kind, items } = object;
  if (apiVersion === "v1" && kind === "List" && Array.isArray(items)) {
    for (const [index, item] of items.entries()) collect(item, [...at, "items", index], templates, faults);
    return;
  }
  const group = String(apiVersion).includes("/") ? String(apiVersion).split("/")[0] : "";
  const below = WORKLOADS[`${group}/${kind}`];
  if (below === undefined) return;
  const path = [...at, ...below];
  const pod = below.reduce<unknown>((value, step) => (isFields(value) ? value[step] : undefined), object);
  const found = faultsOf(pod, path);
  faults.push(...found);
  if (found.length === 0) templates.push({ path, pod: pod as Pod });
}

/** Whether injection can read and change the template; all else about it is Kubernetes' to say. */
function faultsOf(pod: unknown, path: Path): readonly TemplateFault[] {
  if (!isFields(pod)) return [wrongType(path, "a map")];
  const faults: TemplateFault[] = [];
  const { metadata = {}, spec = {} } = pod;
  const maps: (readonly [Path, unknown])[] = [
    [path, pod],
    [[...path, "metadata"], metadata],
    [[...path, "spec"], spec],
  ];
  if (isFields(metadata)) {
    for (const name of ["labels", "annotations"]) maps.push([[...path, "metadata", name], metadata[name] ?? {}]);
  }
  for (const [place, value] of maps) {
    if (!isFields(value)) faults.push(wrongType(place, "a map"));
  }
  if (!isFields(spec)) return faults;
  for (const name of ["initContainers", "containers", "volumes"]) {
    const list = spec[name] ?? [];
    const place = [...path, "spec", name];
    if (!Array.isArray(list)) faults.push(wrongType(place, "a list"));
    else faults.push(...list.flatMap((item, index) => (isFields(item) ? [] : [wrongType([...place, index], "a map")])));
  }
  return faults;
}

function wrongType(path: Path, wanted: string): TemplateFault {
  return { path, code: "wrong-type", message: `A pod has ${wanted} here.` };
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
