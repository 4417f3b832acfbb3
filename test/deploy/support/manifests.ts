// The manifests that are shipped, as kubectl puts them together, and what a kubelet would make of their containers.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";
import { kubeBinaries } from "../../kube/support/cluster.js";

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
}

export interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: { readonly serviceAccountName: string; readonly containers: readonly [Container] };
}

/** Rejects without kubectl. */
export async function buildManifests(folder: string): Promise<readonly Manifest[]> {
  if ("error" in kubeBinaries) throw new Error(kubeBinaries.error);
  const options = { maxBuffer: 16 * 1_048_576 };
  const { stdout } = await promisify(execFile)(kubeBinaries.value.kubectl, ["kustomize", folder], options);
  return readManifests(stdout);
}

export function readManifests(yaml: string): readonly Manifest[] {
  return parseAllDocuments(yaml)
    .map((document) => document.toJS({ maxAliasCount: -1 }) as Manifest | null)
    .filter((manifest) => manifest !== null);
}

/** Kind, namespace and name. */
export function keyOf({ kind, metadata: { namespace = "", name } }: Manifest): string {
  return `${kind} ${namespace}/${name}`;
}

export function templatesOf(manifests: readonly Manifest[]): readonly [string, PodTemplate][] {
  return manifests
    .filter(({ kind }) => kind === "Deployment")
    .map((manifest) => [keyOf(manifest), manifest.spec?.template as PodTemplate]);
}

/** The arguments with variables put in: those of the container, and those that only a kubelet knows. */
export function argumentsOf(
  { args, env }: Pick<Container, "args" | "env">,
  known: Readonly<Record<string, string>> = {},
): readonly string[] {
  const values = { ...Object.fromEntries(env.map(({ name, value = "" }) => [name, value])), ...known };
  return args.map((arg) => arg.replace(/\$\((\w+)\)/g, (_, name: string) => values[name] ?? ""));
}
