// `headgate explain`: what a proxy does with a request, and why, without a control plane or an Envoy.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parse } from "yaml";
import { type DescribedRequest, explainRequest } from "../explain/explain.js";
import { requestPorts } from "../explain/find-host.js";
import type { Mesh } from "../mesh/mesh.js";
import type { Proxy } from "../proxy/proxy.js";
import { createContext } from "../translate/context.js";
import { Memo } from "../translate/memo.js";
import { type CommandDefinition, type CommandIo, exitCode, type OptionValues } from "./command.js";
import { explainedText } from "./explained-text.js";
import { type Read, readPairs } from "./flag-values.js";
import { describeProxy, readMesh, readTrafficFilter } from "./offline.js";
import { violationText } from "./violation-text.js";
import { readRequest, type WrittenRequest } from "./written-request.js";

export const explainCommand: CommandDefinition = {
  name: "explain",
  summary: "say what a proxy does with a request, which rule decides it and why not an earlier one",
  description:
    "Reads a directory of policies and decides the request by the very Wasm module that decides in Envoy.\n\n" +
    "Example:\n" +
    "  headgate explain --config policies --authority reviews --port 9080 -H 'end-user: jason'\n" +
    "  headgate explain --config policies --gateway default/ingress --authority shop.example.com --path /cart",
  options: [
    { flags: "--config <dir>", summary: "files or directories of YAML", required: true, repeatable: true },
    { flags: "--namespace <namespace>", summary: "the namespace of objects that name none", default: "default" },
    { flags: "--root-namespace <namespace>", summary: "see headgate serve", default: "istio-system" },
    { flags: "--proxy <node>", summary: "a node id, as in sidecar~10.0.0.1~app.default~default.svc.cluster.local" },
    { flags: "--gateway <namespace/name>", summary: "a proxy of this Gateway, in place of a sidecar" },
    { flags: "--source-label <k=v>", summary: "a label of the proxy's workload", repeatable: true },
    { flags: "--method <method>", summary: "the request's method (default: GET)" },
    { flags: "--scheme <scheme>", summary: "http or https (default: http)" },
    { flags: "--authority <host>", summary: "the request's Host" },
    { flags: "--path <path>", summary: "path and query (default: /)" },
    { flags: "-H, --header <name: value>", summary: "a header", repeatable: true },
    { flags: "--port <port>", summary: "the port it is sent to (default: the authority's, or the proxy's only one)" },
    { flags: "--source-address <address>", summary: "the client's address" },
    { flags: "--request <file>", summary: "the request as YAML: method, scheme, authority, path, headers, port" },
    { flags: "--time <time>", summary: "when it is sent, as in 2030-01-31T12:00:00Z (default: now)" },
    { flags: "--seed <number>", summary: "for the draws of weights: the same number, the same draws", default: "1" },
    { flags: "-o, --output <format>", summary: "how to print", choices: ["text", "json"], default: "text" },
  ],

  async run(_args, options, io) {
    const fail = (code: number, message: string) => {
      io.stderr.write(`headgate explain: ${message}\n`);
      return code;
    };
    const paths = (options.config as readonly string[]).map((path) => resolve(io.cwd, path));
    const { mesh, violations } = await readMesh(paths, String(options.namespace), String(options.rootNamespace));
    for (const violation of violations) io.stderr.write(`${violationText(violation)}\n`);
    const proxy = readProxy(options, mesh);
    if ("error" in proxy) return fail(exitCode.usage, proxy.error);
    const request = await describeRequest(options, io, mesh, proxy.value);
    if ("error" in request) return fail(exitCode.usage, request.error);
    const { filter, wasm } = await readTrafficFilter();
    const explained = explainRequest(mesh, proxy.value, request.value, filter, wasm);
    if ("error" in explained) return fail(exitCode.failed, explained.error);
    io.stdout.write(options.output === "json" ? `${JSON.stringify(explained, null, 2)}\n` : explainedText(explained));
    return exitCode.ok;
  },
};

function readProxy(options: OptionValues, mesh: Mesh): Read<Proxy> {
  const labels = readPairs("--source-label", ((options.sourceLabel as readonly string[] | undefined) ?? []).join(","));
  if ("error" in labels) return labels;
  return describeProxy(mesh, {
    namespace: String(options.namespace),
    labels: labels.value,
    ...(typeof options.proxy === "string" ? { node: options.proxy } : {}),
    ...(typeof options.gateway === "string" ? { gateway: options.gateway } : {}),
  });
}

async function describeRequest(
  options: OptionValues,
  io: CommandIo,
  mesh: Mesh,
  proxy: Proxy,
): Promise<Read<DescribedRequest>> {
  const written = await writtenRequest(options, io);
  if ("error" in written) return written;
  const ports = requestPorts(createContext(mesh, proxy, { trafficFilter: { wasm: new Uint8Array() } }, new Memo()));
  return readRequest(written.value, ports);
}

/** The file's fields, with those of the flags in their place. */
async function writtenRequest(options: OptionValues, io: CommandIo): Promise<Read<WrittenRequest>> {
  let fromFile: WrittenRequest = {};
  if (typeof options.request === "string") {
    try {
      fromFile = (parse(await readFile(resolve(io.cwd, options.request), "utf8")) ?? {}) as WrittenRequest;
    } catch (error) {
      return { error: `--request ${options.request}: ${error instanceof Error ? error.message : String(error)}` };
    }
  }
  const headers: [string, string][] = [];
  for (const header of (options.header as readonly string[] | undefined) ?? []) {
    const colon = header.indexOf(":");
    if (colon <= 0) return { error: `-H "${header}": write 'name: value'` };
    headers.push([header.slice(0, colon).trim(), header.slice(colon + 1).trim()]);
  }
  const flags = ["method", "scheme", "authority", "path", "port", "gateway", "sourceAddress", "time", "seed"] as const;
  const given = Object.fromEntries(
    flags.flatMap((flag) => (options[flag] === undefined ? [] : [[flag, options[flag]]])),
  );
  return { value: { ...fromFile, ...given, ...(headers.length > 0 ? { headers } : {}) } };
}
