// The directory source against a real file system, with the ways in which editors, tools and mounts change files.
import { mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDirectorySource } from "../../controlplane/sources/directory.js";
import { testSource } from "./source-suite.js";

/** A ServiceEntry as YAML; without a host it has an empty list of hosts, which is a fault. */
export function entry(name: string, host: string | undefined): string {
  const hosts = host === undefined ? "[]" : `[${host}]`;
  return `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: ${name}\nspec:\n  hosts: ${hosts}\n`;
}

testSource("a directory", async () => {
  const directory = await mkdtemp(join(tmpdir(), "headgate-source-"));
  const source = createDirectorySource({ directory, defaultNamespace: "default" });
  return {
    source,
    put: (name, host) => writeFile(join(directory, `${name}.yaml`), entry(name, host)),
    remove: (name) => unlink(join(directory, `${name}.yaml`)),
    async close() {
      await source.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
});
