// Reads files and directories once, for `headgate validate` and whoever needs no watching.
import { stat } from "node:fs/promises";
import type { AnyResource } from "../resources/kinds.js";
import type { Violation } from "../resources/violation.js";
import { assemble } from "./assembly.js";
import { FileContents } from "./file-contents.js";
import { listDirectory, unreadableViolation } from "./files.js";
import { readObjects } from "./reading.js";

export interface FilesRead {
  /** How many objects the files have, good and bad. */
  readonly objects: number;
  /** By resourceKey, without those that have an error. */
  readonly resources: ReadonlyMap<string, AnyResource>;
  /** In the order of the files, and of lines within them. */
  readonly violations: readonly Violation[];
}

const NOTHING: ReadonlyMap<string, string> = new Map();

/** Reads every file named, and the YAML and JSON files in and below every directory named. Never rejects. */
export async function readFiles(paths: readonly string[], defaultNamespace: string): Promise<FilesRead> {
  const violations: Violation[] = [];
  const files: FileContents[] = [];
  let objects = 0;
  for (const path of await expandPaths(paths, violations)) {
    const outcome = readObjects({ path, defaultNamespace, known: NOTHING });
    if ("violation" in outcome) {
      violations.push(outcome.violation);
      continue;
    }
    objects += outcome.reading.objects.length;
    const contents = new FileContents();
    contents.update(outcome.reading);
    files.push(contents);
  }
  const assembled = assemble(files);
  return { objects, resources: assembled.resources, violations: [...violations, ...assembled.violations] };
}

async function expandPaths(paths: readonly string[], violations: Violation[]): Promise<ReadonlySet<string>> {
  const files = new Set<string>();
  for (const path of paths) {
    try {
      if (!(await stat(path)).isDirectory()) files.add(path);
      else {
        const listing = await listDirectory(path);
        for (const file of listing.files.keys()) files.add(file);
        violations.push(...listing.unreadable.values());
      }
    } catch (error) {
      violations.push(unreadableViolation(path, error));
    }
  }
  return files;
}
