// `headgate serve` over a directory, with proxies that are played by scripts, and commands that look at it.
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ConfigPage, ConfigType } from "../../../controlplane/admin/config.js";
import { TYPE_URLS } from "../../../controlplane/admin/type-names.js";
import type { Scope } from "../../harness/scope.js";
import { startServe } from "../../harness/serve.js";
import { eventually } from "../../harness/waiting.js";
import { connect, ScriptedStream } from "../../xds/support/script.js";

export interface Served {
  readonly ads: string;
  readonly admin: string;
  /** What the control plane reads. */
  readonly directory: string;
  /** Writes or removes a file, and waits until the control plane has taken that over. */
  apply(file: string, yaml: string | undefined): Promise<void>;
  /** Connects a proxy that asks for everything by wildcard and acknowledges nothing by itself. */
  connect(id: string): ScriptedStream;
  revision(): Promise<number>;
  /** All that the control plane has for a proxy, as "Type name" -> version. */
  versions(id: string): Promise<Map<string, string>>;
}

export const idOf = (name: string, namespace = "default") =>
  `sidecar~10.0.0.1~${name}.${namespace}~${namespace}.svc.cluster.local`;

export async function startServed(scope: Scope, files: Readonly<Record<string, string>>): Promise<Served> {
  const directory = join(await scope.directory(), "policies");
  await writeFiles(directory, files);
  const args = ["--config", directory, "--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
  const { ads, admin } = await startServe(scope, args);
  const ask = async <T>(path: string) => (await (await fetch(`http://${admin}${path}`)).json()) as T;
  const revision = async () => (await ask<{ revision: number }>("/proxies")).revision;
  return {
    ads,
    admin,
    directory,
    revision,
    async apply(file, yaml) {
      const before = await revision();
      if (yaml === undefined) await rm(join(directory, file));
      else await writeFiles(directory, { [file]: yaml });
      await eventually("the change is taken over", async () => (await revision()) > before);
    },
    connect(id) {
      const client = scope.use(connect(ads));
      const stream = new ScriptedStream(client, "delta", id);
      for (const typeUrl of TYPE_URLS.values()) stream.subscribe(typeUrl);
      return stream;
    },
    async versions(id) {
      const versions = new Map<string, string>();
      const proxy = encodeURIComponent(id);
      const { types } = await ask<{ types: ConfigType[] }>(`/config?proxy=${proxy}`);
      for (const { typeUrl, type } of types) {
        const page = await ask<ConfigPage>(`/config?proxy=${proxy}&type=${typeUrl}&versions`);
        for (const { name, version } of page.resources) versions.set(`${type} ${name}`, version);
      }
      return versions;
    },
  };
}

/** Each file comes into being whole. */
export async function writeFiles(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const [file, yaml] of Object.entries(files)) {
    await writeFile(join(directory, `.${file}`), yaml);
    await rename(join(directory, `.${file}`), join(directory, file));
  }
}
