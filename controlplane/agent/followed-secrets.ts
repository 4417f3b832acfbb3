// A bootstrap's static secrets, made into ones that Envoy reads again when their files are replaced.
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Followed, followFiles } from "../identity/followed-files.js";

interface StaticSecret {
  readonly name: string;
  readonly generic_secret?: { readonly secret: { readonly filename?: string } };
}

interface Bootstrap {
  readonly static_resources?: { readonly secrets?: readonly StaticSecret[] };
}

export interface FollowedSecrets {
  /** The bootstrap to start Envoy with. */
  readonly bootstrap: object;
  close(): void;
}

/**
 * Puts each static secret into a file of its own in the directory, where Envoy finds it as if it came by SDS. Rejects
 * when the file of a generic secret cannot be read. `onNotice` is told of later ones.
 */
export async function followSecrets(
  bootstrap: object,
  directory: string,
  onNotice: (notice: string) => void,
): Promise<FollowedSecrets> {
  const { secrets, ...others } = (bootstrap as Bootstrap).static_resources ?? {};
  if (!secrets?.length) return { bootstrap, close: () => {} };
  const followed: Followed<string>[] = [];
  const sources = new Map<string, object>();
  for (const secret of secrets) {
    const path = join(directory, `${secret.name}.json`);
    const copied = await copyGeneric(secret, directory, onNotice);
    if (copied) followed.push(copied.followed);
    const type = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
    const resources = [{ "@type": type, ...(copied?.secret ?? secret) }];
    await writeFile(path, JSON.stringify({ resources }), { mode: 0o600 });
    sources.set(secret.name, { path_config_source: { path }, resource_api_version: "V3" });
  }
  return {
    bootstrap: withSources({ ...bootstrap, static_resources: others }, sources) as object,
    close() {
      for (const one of followed) one.close();
    },
  };
}

/**
 * Envoy sees certificates being replaced in whatever way, but of a generic secret only the renaming of its own file, and
 * not a symbolic link that is swapped further up. So it is given a copy.
 */
async function copyGeneric(secret: StaticSecret, directory: string, onNotice: (notice: string) => void) {
  const source = secret.generic_secret?.secret.filename;
  if (source === undefined) return undefined;
  const copy = join(directory, secret.name);
  const write = async (content: string) => {
    await writeFile(`${copy}.new`, content, { mode: 0o600 });
    await rename(`${copy}.new`, copy);
  };
  const read = await followFiles([source], {
    read: async () => {
      const content = await readFile(source, "utf8");
      return content.trim() === "" ? { error: `${source} is empty` } : { value: content };
    },
    onValue: (content) => void write(content).catch((error: Error) => onNotice(error.message)),
    onError: (error) => onNotice(`${error}; what was read before stays in force`),
  });
  if ("error" in read) throw new Error(read.error);
  await write(read.value.current);
  return { followed: read.value, secret: { ...secret, generic_secret: { secret: { filename: copy } } } };
}

/** References to these secrets, which are their names alone, get the place where Envoy finds them. */
function withSources(value: unknown, sources: ReadonlyMap<string, object>): unknown {
  if (Array.isArray(value)) return value.map((inner) => withSources(inner, sources));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  const [only] = entries;
  const source = entries.length === 1 && only?.[0] === "name" ? sources.get(String(only[1])) : undefined;
  if (source) return { ...value, sds_config: source };
  return Object.fromEntries(entries.map(([key, inner]) => [key, withSources(inner, sources)]));
}
