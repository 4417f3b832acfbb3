// Entries of registered workloads as files of a directory, which is a source too. Nobody else writes to it.
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { writeFileDurably } from "../registry/durable.js";
import type { Entries, EntryName } from "./entries.js";

const FILE = /^([^.]+)\.(.+)\.yaml$/;

/** The directory is made where it is missing. */
export function createDirectoryEntries(directory: string): Entries {
  const path = ({ namespace, name }: EntryName) => join(directory, `${namespace}.${name}.yaml`);
  return {
    async start() {
      await mkdir(directory, { recursive: true });
      return (await readdir(directory)).flatMap((file) => {
        const [, namespace, name] = FILE.exec(file) ?? [];
        return namespace === undefined || name === undefined ? [] : [{ namespace, name }];
      });
    },
    put: (entry) => writeFileDurably(path(entry.metadata), stringify(entry)),
    remove: (name) => rm(path(name), { force: true }),
    close: async () => {},
  };
}
