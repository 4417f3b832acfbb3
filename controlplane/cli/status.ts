// `headgate status`: what each proxy has, has acknowledged and has rejected.
import type { ProxyView } from "../admin/proxies.js";
import { readAdmin } from "./admin-client.js";
import { type CommandDefinition, exitCode } from "./command.js";
import { table } from "./table.js";

export const statusCommand: CommandDefinition = {
  name: "status",
  summary: "show the proxies, and whether they have acknowledged what they should have",
  description: "Example:\n  headgate status --admin 127.0.0.1:15014 -o json",
  options: [
    { flags: "--admin <host:port>", summary: "the control plane's admin", default: "127.0.0.1:15014" },
    { flags: "-o, --output <format>", summary: "how to print", choices: ["table", "json"], default: "table" },
  ],

  async run(_args, options, io) {
    const read = await readAdmin(String(options.admin), "/proxies");
    if ("error" in read) {
      io.stderr.write(`headgate status: ${read.error}\n`);
      return exitCode.unavailable;
    }
    if (options.output === "json") {
      io.stdout.write(`${JSON.stringify(read.value, null, 2)}\n`);
      return exitCode.ok;
    }
    const { revision, proxies } = read.value as { revision: number; proxies: ProxyView[] };
    io.stdout.write(
      table(
        ["PROXY", ...TYPES.map(([title]) => title), "REVISION"],
        proxies.map((proxy) => row(proxy, revision)),
      ),
    );
    for (const proxy of proxies) for (const line of rejections(proxy)) io.stdout.write(`${line}\n`);
    return exitCode.ok;
  },
};

const TYPES = [
  ["CDS", "envoy.config.cluster.v3.Cluster"],
  ["EDS", "envoy.config.endpoint.v3.ClusterLoadAssignment"],
  ["LDS", "envoy.config.listener.v3.Listener"],
  ["RDS", "envoy.config.route.v3.RouteConfiguration"],
  ["SDS", "envoy.extensions.transport_sockets.tls.v3.Secret"],
  ["ECDS", "envoy.config.core.v3.TypedExtensionConfig"],
] as const;

function row(proxy: ProxyView, revision: number): string[] {
  const cells = TYPES.map(([, name]) => {
    const type = proxy.types[`type.googleapis.com/${name}`];
    return type ? `${type.state} (${type.resources})` : "-";
  });
  const at = proxy.connected ? `${proxy.acknowledgedRevision} of ${revision}` : "disconnected";
  return [proxy.name ? `${proxy.name}.${proxy.namespace}` : proxy.id, ...cells, at];
}

function rejections(proxy: ProxyView): string[] {
  return Object.entries(proxy.types).flatMap(([typeUrl, { lastError }]) =>
    lastError ? [`${proxy.id} rejected ${typeUrl} at ${lastError.at}: ${lastError.message}`] : [],
  );
}
