// `headgate serve --status`: what a kubelet and Prometheus ask the control plane, apart from the admin, which tells more.
import { type StatusServer, startStatusServer } from "../agent/status-server.js";
import type { CommandOption, OptionValues } from "./command.js";
import { type Read, readHostPort } from "./flag-values.js";

export const SERVE_STATUS_OPTIONS: readonly CommandOption[] = [
  { flags: "--status <host:port>", summary: "serve /healthz/ready, /healthz/live and /metrics there; port 0: any" },
];

export interface ServeStatus {
  /** host:port that is served; undefined where nothing is. */
  readonly address: string | undefined;
  /** What it answers from now on. */
  serving(metrics: () => Promise<string>): void;
  /** Ready no more, and live until it is closed. */
  ending(): void;
  close(): void;
}

/** Serves from now on, and is ready once it is told so. */
export async function startServeStatus({ status }: OptionValues): Promise<Read<ServeStatus>> {
  let missing: string | undefined = "policies and services have not been read yet";
  let render = async () => "";
  let server: StatusServer | undefined;
  if (typeof status === "string") {
    const listen = readHostPort("--status", status);
    if ("error" in listen) return listen;
    const sources = { missing: async () => missing, metrics: () => render() };
    try {
      server = await startStatusServer(listen.value, sources);
    } catch (error) {
      return { error: `--status: ${(error as Error).message}` };
    }
  }
  return {
    value: {
      address: server && hostPort(server.address),
      serving(metrics) {
        missing = undefined;
        render = metrics;
      },
      ending() {
        missing = "the control plane is ending";
      },
      close: () => server?.close(),
    },
  };
}

function hostPort({ host, port }: StatusServer["address"]): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
