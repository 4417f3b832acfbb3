// Applies example policies to the running demo, one set in place of another, and waits until every proxy has them.
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { packagePath } from "../../agent/package-root.js";
import { violationText } from "../violation-text.js";
import type { Mesh } from "./mesh.js";
import { NAMESPACE } from "./topology.js";

const TIMEOUT_MS = 20_000;

export class AppliedPolicies {
  readonly #mesh: Mesh;
  readonly #put: (text: string) => Promise<void>;
  /** kind/namespace/name of what the control plane has of them, as its events tell. */
  readonly #present = new Set<string>();
  #lastEvent: number | undefined;

  /** `put` has the control plane read this YAML in place of the one before; nobody else may change what it reads. */
  constructor(mesh: Mesh, put: (text: string) => Promise<void>) {
    this.#mesh = mesh;
    this.#put = put;
  }

  /**
   * Puts these files of examples/policies in place of all that was applied before. Resolves when every proxy has
   * acknowledged it; rejects when a policy is at fault, when a proxy rejects it, or when nothing happens for long.
   */
  async replace(files: readonly string[]): Promise<void> {
    const { controlPlane, proxies } = this.#mesh;
    const texts = await Promise.all(files.map((file) => readFile(packagePath("examples", "policies", file), "utf8")));
    const text = texts.join("---\n");
    this.#lastEvent ??= await controlPlane.lastEvent();
    await this.#put(text);
    await controlPlane.acknowledged(await this.#noticed(keysOf(text)), proxies);
    const faults = (await controlPlane.violations()).filter(({ severity }) => severity === "error");
    if (faults[0]) throw new Error(violationText(faults[0]));
  }

  /** The first revision that has exactly the wanted objects; what is gone from a file goes a little later. */
  async #noticed(wanted: ReadonlySet<string>): Promise<number> {
    const deadline = Date.now() + TIMEOUT_MS;
    while (Date.now() < deadline) {
      for (const event of await this.#mesh.controlPlane.events(this.#lastEvent ?? 0, 1)) {
        this.#lastEvent = event.id;
        if (event.type !== "change") continue;
        for (const { kind, namespace, name, change } of event.changed) {
          const key = `${kind}/${namespace}/${name}`;
          if (change === "removed") this.#present.delete(key);
          else this.#present.add(key);
        }
        const exactly = this.#present.size === wanted.size && [...wanted].every((key) => this.#present.has(key));
        if (exactly) return event.revision;
      }
    }
    throw new Error("the control plane has not taken the policies over");
  }
}

/** Puts policies into one file of a directory by a rename, so that the control plane never sees half of it. */
export function intoDirectory(directory: string): (text: string) => Promise<void> {
  return async (text) => {
    await writeFile(join(directory, "scenario.yaml.tmp"), text);
    await rename(join(directory, "scenario.yaml.tmp"), join(directory, "scenario.yaml"));
  };
}

function keysOf(text: string): Set<string> {
  const keys = new Set<string>();
  for (const document of parseAllDocuments(text)) {
    const object = document.toJS() as { kind: string; metadata: { name: string; namespace?: string } } | null;
    if (object) keys.add(`${object.kind}/${object.metadata.namespace ?? NAMESPACE}/${object.metadata.name}`);
  }
  return keys;
}
