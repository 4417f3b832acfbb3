// Puts the files of a directory together: one object a key, and every fault that stands.
import type { AnyResource } from "../resources/kinds.js";
import type { Violation } from "../resources/violation.js";
import { makeViolation } from "../resources/violation-at.js";
import type { FileContents, FileObject } from "./file-contents.js";

export interface Assembly {
  readonly resources: ReadonlyMap<string, AnyResource>;
  readonly violations: readonly Violation[];
}

/** Of several objects with one key the first is served, in the order that the files are given in and within a file. */
export function assemble(files: Iterable<FileContents>): Assembly {
  const resources = new Map<string, AnyResource>();
  const owners = new Map<string, FileObject>();
  const violations: Violation[] = [];
  for (const file of files) {
    violations.push(...file.violations);
    for (const object of file.objects) {
      violations.push(...object.violations);
      const owner = owners.get(object.key);
      if (owner === undefined) owners.set(object.key, object);
      else violations.push(duplicate(object, owner));
      if (object.resource !== undefined && !resources.has(object.key)) resources.set(object.key, object.resource);
    }
  }
  return { resources, violations };
}

function duplicate(object: FileObject, owner: FileObject): Violation {
  const [kind, namespace, name] = object.key.split("/") as [string, string, string];
  const first = owner.place();
  const where = first === undefined ? "elsewhere" : `at ${first.file}:${first.line}`;
  const message = `${object.key} is defined ${where} too, which is the one that is served; remove one of the two.`;
  return makeViolation("duplicate-object", "error", ["metadata", "name"], message, object.place(), {
    kind,
    namespace,
    name,
  });
}
