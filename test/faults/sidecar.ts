// A real Envoy as a sidecar of a `headgate serve` process, and what that process says of its proxies.
import type { ProxyView } from "../../controlplane/admin/proxies.js";
import { createBootstrap } from "../../controlplane/agent/bootstrap.js";
import { startTestEnvoy, type TestEnvoy } from "../harness/envoy.js";
import type { Scope } from "../harness/scope.js";

export interface SidecarOptions {
  /** host:port of the control plane. */
  readonly ads: string;
  /** The loopback address that is the sidecar's own. */
  readonly address: string;
  readonly name: string;
}

export function startSidecar(scope: Scope, { ads, address, name }: SidecarOptions): Promise<TestEnvoy> {
  const [host = "", port = ""] = ads.split(":");
  const bootstrap = createBootstrap(
    {
      role: "sidecar",
      name,
      namespace: "default",
      addresses: [address],
      labels: {},
      interceptionMode: "NONE",
      unprivileged: true,
    },
    { ads: { host, port: Number(port) } },
  );
  return startTestEnvoy(scope, bootstrap);
}

export async function proxyViewsOf(
  admin: string,
): Promise<{ readonly revision: number; readonly proxies: readonly ProxyView[] }> {
  return (await (await fetch(`http://${admin}/proxies`)).json()) as { revision: number; proxies: ProxyView[] };
}
