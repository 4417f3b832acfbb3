// What of extension configs is compared: all that objects say, and not the code, which comes from elsewhere and is not
// fetched for a comparison.

/** The version of an extension whose module is not there yet, so that nothing is known of what it will run. */
export const NOT_LOADED = "not loaded";

/** Those of objects: not the traffic filter, which every proxy has. */
const OF_OBJECTS = "extensions.istio.io/";
const STAND_INS = /filters\.http\.(fault|header_mutation)\./;

interface View {
  readonly typedConfig?: { readonly "@type"?: string };
}

/** Versions by name that are equal for what the same objects make. `known` keeps those that were looked at before. */
export async function extensionVersions(
  names: ReadonlyMap<string, string>,
  view: (name: string) => Promise<unknown>,
  known: Map<string, string>,
): Promise<ReadonlyMap<string, string>> {
  const versions = new Map<string, string>();
  for (const [name, version] of names) {
    if (!name.startsWith(OF_OBJECTS)) continue;
    const key = `${name} ${version}`;
    const seen = known.get(key) ?? versionOf((await view(name)) as View);
    known.set(key, seen);
    versions.set(name, seen);
  }
  return versions;
}

function versionOf(view: View): string {
  return STAND_INS.test(view.typedConfig?.["@type"] ?? "") ? NOT_LOADED : JSON.stringify(withoutCode(view));
}

/** A decoded extension config without the module's bytes. */
export function withoutCode(view: unknown): unknown {
  if (Array.isArray(view)) return view.map(withoutCode);
  if (typeof view !== "object" || view === null) return view;
  const entries = Object.entries(view).filter(([key]) => key !== "code");
  return Object.fromEntries(entries.map(([key, value]) => [key, withoutCode(value)]));
}

/** Whether the two sides differ in an extension of both, as far as is known. */
export function mayDiffer(was: string | undefined, is: string | undefined): boolean {
  return was === undefined || is === undefined || (was !== NOT_LOADED && is !== NOT_LOADED);
}
