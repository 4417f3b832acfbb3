// `headgate filter push|list|show|diff|remove`: the registry's versions.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { KubeFault } from "../kube/object.js";
import { BUILT_IN, FilterRegistry, parseReference } from "../registry/registry.js";
import type { FilterVersion } from "../registry/version-store.js";
import { type FilterStorage, versionsInUse } from "../rollout/storage.js";
import { type CommandArgument, type CommandDefinition, exitCode } from "./command.js";
import {
  actor,
  BY_OPTION,
  OUTPUT_OPTION,
  STORAGE_OPTIONS,
  tellFault,
  tellUsage,
  withFilters,
  writeRows,
} from "./filter-options.js";
import { readCount } from "./flag-values.js";
import { table } from "./table.js";

const reference = (name: string): CommandArgument => ({
  name,
  summary: "as in headgate.traffic@1.2.0",
  required: true,
});

export const filterPushCommand: CommandDefinition = {
  name: "filter push",
  summary: "check a filter's module and add it to the registry as a version that never changes",
  description:
    "The module is compiled, its imports are held against what Envoy offers, and it is started and given a request in\n" +
    "a sandbox with limits of time and memory. A JSON schema of its configuration may lie beside it as\n" +
    "FILE.schema.json, or in the module's custom section headgate.configuration-schema.\n\n" +
    "Example:\n  headgate filter push headgate.traffic build/traffic.wasm --version 1.2.0",
  arguments: [
    { name: "name", summary: "the filter's name", required: true },
    { name: "file", summary: "the Wasm module", required: true },
  ],
  options: [
    { flags: "--version <version>", summary: "the version's name, as 1.2.0", required: true },
    { flags: "--configuration <file>", summary: "what the filter is started with for the check" },
    { flags: "--keep <n>", summary: "remove the oldest versions beyond so many that nothing uses", default: "20" },
    BY_OPTION,
    ...STORAGE_OPTIONS,
  ],

  async run([name = "", file = ""], options, io) {
    const keep = readCount("--keep", String(options.keep), 1);
    if ("error" in keep) return tellUsage(this.name, keep.error, io);
    const path = resolve(io.cwd, file);
    const read = (from: string) => readFile(from).catch(() => undefined);
    const wasm = await read(path);
    if (!wasm) return tellUsage(this.name, `${file} cannot be read`, io);
    const schema = await read(path.replace(/(\.wasm)?$/, ".schema.json"));
    const configured = typeof options.configuration === "string" ? resolve(io.cwd, options.configuration) : undefined;
    const configuration = configured === undefined ? undefined : await read(configured);
    if (configured !== undefined && !configuration)
      return tellUsage(this.name, `${options.configuration} cannot be read`, io);
    const version = String(options.version);
    return withFilters(this.name, options, io, async (storage) => {
      const registry = new FilterRegistry(storage.versions);
      const pushed = await registry.push({
        name,
        version,
        by: actor(options, io),
        wasm,
        ...(schema ? { schema: schema.toString("utf8") } : {}),
        ...(configuration ? { configuration: configuration.toString("utf8") } : {}),
      });
      if ("fault" in pushed) return tellFault(this.name, pushed.fault, io);
      io.stdout.write(`${name}@${version} added: ${pushed.value.size} bytes, sha256 ${pushed.value.sha256}\n`);
      try {
        const inUse = new Map(await versionsInUse(storage, name)).set(version, "this push");
        for (const gone of await registry.collect(name, keep.value, inUse))
          io.stdout.write(`${name}@${gone} removed\n`);
      } catch (error) {
        if (!(error instanceof KubeFault)) throw error;
        io.stderr.write(`headgate ${this.name}: old versions stay, because the cluster says: ${error.message}\n`);
      }
      return exitCode.ok;
    });
  },
};

export const filterListCommand: CommandDefinition = {
  name: "filter list",
  summary: "list the versions of all filters",
  options: [...STORAGE_OPTIONS, OUTPUT_OPTION],

  async run(_args, options, io) {
    return withFilters(this.name, options, io, async (storage) => {
      const versions = await new FilterRegistry(storage.versions).list();
      const row = ({ name, version, size, abi, sha256, addedAt, addedBy }: FilterVersion) => [
        ...[name, version, String(size), abi, sha256.slice(0, 12), addedAt, addedBy],
      ];
      const head = ["FILTER", "VERSION", "BYTES", "ABI", "SHA256", "ADDED", "BY"];
      writeRows(options, io, head, versions, row);
      return exitCode.ok;
    });
  },
};

export const filterShowCommand: CommandDefinition = {
  name: "filter show",
  summary: "show all that is known of a version, as JSON",
  arguments: [reference("filter@version")],
  options: [...STORAGE_OPTIONS],

  async run([text = ""], options, io) {
    return withFilters(this.name, options, io, async (storage) => {
      const found = await find(text, storage);
      if ("fault" in found) return tellFault(this.name, found.fault, io);
      io.stdout.write(`${JSON.stringify(found.value, null, 2)}\n`);
      return exitCode.ok;
    });
  },
};

export const filterDiffCommand: CommandDefinition = {
  name: "filter diff",
  summary: "show in what two versions differ",
  arguments: [reference("one"), reference("other")],
  options: [...STORAGE_OPTIONS],

  async run([one = "", other = ""], options, io) {
    return withFilters(this.name, options, io, async (storage) => {
      const [left, right] = [await find(one, storage), await find(other, storage)];
      if ("fault" in left) return tellFault(this.name, left.fault, io);
      if ("fault" in right) return tellFault(this.name, right.fault, io);
      const rows = differences(left.value, right.value);
      io.stdout.write(rows.length === 0 ? "nothing\n" : table(["", one, other], rows));
      return exitCode.ok;
    });
  },
};

export const filterRemoveCommand: CommandDefinition = {
  name: "filter remove",
  summary: "remove a version that no proxy has or could go back to",
  arguments: [reference("filter@version")],
  options: [...STORAGE_OPTIONS],

  async run([text = ""], options, io) {
    const parsed = parseReference(text);
    if ("fault" in parsed) return tellFault(this.name, parsed.fault, io);
    const { name, version } = parsed.value;
    return withFilters(this.name, options, io, async (storage) => {
      const user = (await versionsInUse(storage, name)).get(version);
      if (user !== undefined) {
        const message = `${user} names ${text}: roll that back, or have it use another version first`;
        return tellFault(this.name, { code: "filter-in-use", message }, io);
      }
      const removed = await new FilterRegistry(storage.versions).remove(name, version);
      if ("fault" in removed) return tellFault(this.name, removed.fault, io);
      io.stdout.write(`${text} removed\n`);
      return exitCode.ok;
    });
  },
};

async function find(text: string, { versions }: FilterStorage) {
  const parsed = parseReference(text);
  if ("fault" in parsed) return parsed;
  const { name, version } = parsed.value;
  if (version === BUILT_IN)
    return { fault: { code: "filter-not-found" as const, message: `${BUILT_IN} is not kept in the registry` } };
  return new FilterRegistry(versions).show(name, version);
}

function differences(one: FilterVersion, other: FilterVersion): string[][] {
  const text = (value: unknown) => (typeof value === "object" ? JSON.stringify(value) : String(value ?? "-"));
  const keys = ["sha256", "size", "abi", "memoryBytes", "configurationSchema", "addedAt", "addedBy"] as const;
  return keys
    .filter((key) => text(one[key]) !== text(other[key]))
    .map((key) => [key, text(one[key]), text(other[key])]);
}
