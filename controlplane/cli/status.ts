// `headgate status`: what each proxy has, has acknowledged and has rejected.
import { stringify } from "yaml";
import type { ProxyTypeView, ProxyView } from "../admin/proxies.js";
import { shortType, TYPE_URLS } from "../admin/type-names.js";
import { readAdmin } from "./admin-client.js";
import { type CommandDefinition, exitCode } from "./command.js";
import { findProxy } from "./find-proxy.js";
import { printable } from "./printable.js";
import { table } from "./table.js";

export const statusCommand: CommandDefinition = {
  name: "status",
  summary: "show the proxies, and whether they have acknowledged what they should have",
  description:
    "For each type of resource a proxy is synced (it acknowledged all that it should have), stale (something is still to\n" +
    "be sent or answered) or rejected (it refused something, and goes on with what it had). With PROXY, which is a node\n" +
    "id, name.namespace or a name, everything about that one.\n\n" +
    "Exits with 0 when every connected proxy that is shown is synced, with 1 when one is not or PROXY is not connected,\n" +
    "with 64 when a flag is wrong and with 69 when no control plane answers.\n\n" +
    "Examples:\n  headgate status\n  headgate status productpage-v1.bookinfo -o yaml",
  arguments: [{ name: "proxy", summary: "one proxy (default: all)" }],
  options: [
    { flags: "--admin <host:port>", summary: "the control plane's admin", default: "127.0.0.1:15014" },
    { flags: "-o, --output <format>", summary: "how to print", choices: ["table", "json", "yaml"], default: "table" },
  ],

  async run([wanted], options, io) {
    const read = await readAdmin(String(options.admin), "/proxies");
    if ("error" in read) {
      io.stderr.write(`headgate status: ${read.error}\n`);
      return read.code;
    }
    const { revision, proxies: all } = read.value as Status;
    const found = wanted === undefined ? undefined : findProxy(all, wanted);
    if (found && "error" in found) {
      io.stderr.write(`headgate status: ${printable(found.error)}\n`);
      return exitCode.failed;
    }
    const proxies = found ? [found.value] : all;
    if (options.output === "json") io.stdout.write(`${JSON.stringify({ revision, proxies }, null, 2)}\n`);
    else if (options.output === "yaml") io.stdout.write(stringify({ revision, proxies }));
    else io.stdout.write(found ? proxyText(found.value, revision) : overviewText(proxies, revision));
    const isFine = ({ state }: ProxyView) => state === "synced" || (!found && state === "disconnected");
    return proxies.every(isFine) ? exitCode.ok : exitCode.failed;
  },
};

interface Status {
  readonly revision: number;
  readonly proxies: readonly ProxyView[];
}

function overviewText(proxies: readonly ProxyView[], revision: number): string {
  const rows = proxies.map((proxy) => [
    printable(proxy.name ? `${proxy.name}.${proxy.namespace}` : proxy.id),
    ...[...TYPE_URLS.values()].map((typeUrl) => {
      const type = proxy.types[typeUrl];
      return type ? `${type.state} (${type.resources})` : "-";
    }),
    progress(proxy, revision),
  ]);
  const header = ["PROXY", ...[...TYPE_URLS.keys()].map((type) => type.toUpperCase()), "REVISION"];
  return table(header, rows) + proxies.flatMap((proxy) => rejections(proxy, `${printable(proxy.id)} `)).join("");
}

function proxyText(proxy: ProxyView, revision: number): string {
  const labels = Object.entries(proxy.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  const facts = [
    ["proxy", proxy.id],
    ["role", proxy.role ?? "-"],
    ["labels", labels.join(",") || "-"],
    ["protocol", proxy.protocol],
    ["connected at", proxy.connectedAt],
    ["state", proxy.state],
    ["revision", progress(proxy, revision)],
  ];
  const rows = Object.entries(proxy.types).map(([typeUrl, type]) => [
    typeName(typeUrl),
    type.state,
    String(type.resources),
    type.sentVersion || "-",
    type.acknowledgedVersion || "-",
  ]);
  return [
    ...facts.map(([name, value]) => `${name}: ${printable(value as string)}\n`),
    "\n",
    table(["TYPE", "STATE", "RESOURCES", "SENT", "ACKNOWLEDGED"], rows),
    ...rejections(proxy, ""),
  ].join("");
}

function progress(proxy: ProxyView, revision: number): string {
  return proxy.connected ? `${proxy.acknowledgedRevision} of ${revision}` : "disconnected";
}

function rejections(proxy: ProxyView, prefix: string): string[] {
  return Object.entries(proxy.types).flatMap(([typeUrl, { lastError }]) =>
    lastError ? [`${prefix}rejected ${typeName(typeUrl)}${rejectionText(lastError)}\n`] : [],
  );
}

const MOST_NAMES = 5;

function rejectionText({ names, at, message }: NonNullable<ProxyTypeView["lastError"]>): string {
  const shown = names.slice(0, MOST_NAMES).map((name) => ` ${printable(name)}`);
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : "";
  return `${shown.join(",")}${more} at ${at}: ${printable(message)}`;
}

function typeName(typeUrl: string): string {
  const short = shortType(typeUrl);
  return short === "other" ? printable(typeUrl) : short;
}
