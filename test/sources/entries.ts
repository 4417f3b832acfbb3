// Small objects and directories for the tests of sources.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A ServiceEntry as YAML; without a host it has an empty list of hosts, which is a fault. */
export function entry(name: string, host: string | undefined): string {
  const hosts = host === undefined ? "[]" : `[${host}]`;
  return `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: ${name}\nspec:\n  hosts: ${hosts}\n`;
}

export async function temporaryDirectory(): Promise<{ directory: string; remove: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), "headgate-source-"));
  return { directory, remove: () => rm(directory, { recursive: true, force: true }) };
}
