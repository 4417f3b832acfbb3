// `headgate config`: what a proxy holds, resource by resource, as the control plane knows it.
import { stringify } from "yaml";
import type { ConfigPage, ConfigResource, ConfigType } from "../admin/config.js";
import type { ProxyView } from "../admin/proxies.js";
import { findTypeUrl, TYPE_URLS } from "../admin/type-names.js";
import { readAdmin } from "./admin-client.js";
import { type CommandDefinition, type CommandIo, exitCode } from "./command.js";
import { findProxy } from "./find-proxy.js";
import { printable } from "./printable.js";
import { table } from "./table.js";

const FORMATS = ["yaml", "json", "table"] as const;

export const configCommand: CommandDefinition = {
  name: "config",
  summary: "show what a proxy holds, decoded",
  description:
    "Shows the resources that the control plane has for a proxy, in their newest version, and where the proxy stands with\n" +
    "each: held (it acknowledged this version), sent (not answered yet), rejected (refused: it has an older version or\n" +
    "none), pending (yet to be sent) or unwanted (it has no use for it). Of secrets only the names and the certificates'\n" +
    "subjects and expiry are shown. PROXY is a node id, name.namespace or a name.\n\n" +
    "Exits with 0, with 1 when PROXY is not connected, with 64 when a flag is wrong and with 69 when no control plane\n" +
    "answers.\n\n" +
    "Examples:\n  headgate config productpage-v1 vhds --name reviews\n  headgate config productpage-v1 -o table",
  arguments: [
    { name: "proxy", summary: "whose configuration", required: true },
    { name: "type", summary: `${[...TYPE_URLS.keys()].join(", ")} (default: all)` },
  ],
  options: [
    { flags: "--admin <host:port>", summary: "the control plane's admin", default: "127.0.0.1:15014" },
    { flags: "--name <filter>", summary: "only resources with this in their name" },
    { flags: "-o, --output <format>", summary: "how to print", choices: FORMATS, default: "yaml" },
  ],

  async run([wanted = "", type], options, io) {
    const fail = (code: number, error: string) => {
      io.stderr.write(`headgate config: ${printable(error)}\n`);
      return code;
    };
    const typeUrl = type === undefined ? undefined : findTypeUrl(type);
    if (type !== undefined && !typeUrl) {
      return fail(exitCode.usage, `there is no type "${type}": give ${[...TYPE_URLS.keys()].join(", ")}`);
    }
    const admin = String(options.admin);
    const proxies = await readAdmin(admin, "/proxies");
    if ("error" in proxies) return fail(proxies.code, proxies.error);
    const connected = (proxies.value as { proxies: ProxyView[] }).proxies.filter((proxy) => proxy.connected);
    const found = findProxy(connected, wanted);
    if ("error" in found) return fail(exitCode.failed, found.error);
    const filter = typeof options.name === "string" ? { contains: options.name } : {};
    const write = PRINTERS[options.output as (typeof FORMATS)[number]](io.stdout);
    try {
      for await (const resource of readConfig(admin, found.value.id, typeUrl, {
        ...filter,
        ...(options.output === "table" ? { versions: "" } : {}),
      })) {
        write.resource(resource);
      }
    } catch (error) {
      if (!(error instanceof AdminFault)) throw error;
      return fail(exitCode.unavailable, error.message);
    }
    write.end();
    return exitCode.ok;
  },
};

class AdminFault extends Error {}

interface TypedResource extends ConfigResource {
  readonly type: string;
}

/** Page by page, so that neither side ever has all of it. Throws AdminFault. */
async function* readConfig(
  admin: string,
  proxy: string,
  typeUrl: string | undefined,
  filter: Readonly<Record<string, string>>,
): AsyncGenerator<TypedResource> {
  const ask = async <T>(parameters: Readonly<Record<string, string>>): Promise<T> => {
    const read = await readAdmin(admin, `/config?${new URLSearchParams({ proxy, ...parameters })}`);
    if ("error" in read) throw new AdminFault(read.error);
    return read.value as T;
  };
  const { types } = await ask<{ types: ConfigType[] }>({});
  for (const { typeUrl: type, type: name } of types) {
    if (typeUrl !== undefined && type !== typeUrl) continue;
    for (let after: string | null | undefined; after !== null; ) {
      const page: ConfigPage = await ask({ type, ...filter, ...(after === undefined ? {} : { after }) });
      for (const resource of page.resources) yield { type: name, ...resource };
      after = page.next;
    }
  }
}

interface Printer {
  resource(resource: TypedResource): void;
  end(): void;
}

const PRINTERS: Readonly<Record<(typeof FORMATS)[number], (out: CommandIo["stdout"]) => Printer>> = {
  yaml: (out) => {
    let isEmpty = true;
    return {
      resource(resource) {
        out.write(stringify([resource], { aliasDuplicateObjects: false, lineWidth: 120 }));
        isEmpty = false;
      },
      end: () => void (isEmpty && out.write("[]\n")),
    };
  },
  json: (out) => {
    let separator = "[\n";
    return {
      resource(resource) {
        out.write(`${separator}${JSON.stringify(resource, null, 2)}`);
        separator = ",\n";
      },
      end: () => void out.write(separator === "[\n" ? "[]\n" : "\n]\n"),
    };
  },
  table: (out) => {
    const rows: string[][] = [];
    return {
      resource: ({ type, name, standing, version }) => rows.push([type, printable(name), standing, version]),
      end: () => void out.write(table(["TYPE", "NAME", "STANDING", "VERSION"], rows)),
    };
  },
};
