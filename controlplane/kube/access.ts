// Who the control plane is to the API server, and where that is: from a kubeconfig, or from inside a pod.
import { readFile } from "node:fs/promises";
import { type Agent as HttpAgent, Agent as PlainAgent } from "node:http";
import { Agent, type AgentOptions, type RequestOptions } from "node:https";
import { dirname, resolve } from "node:path";
import type { KubeConfig, User } from "@kubernetes/client-node";
import { parse } from "yaml";

export interface AccessOptions {
  /** The path of a kubeconfig; without it the service account of the pod that this runs in. */
  readonly kubeconfig?: string;
  /** A context of the kubeconfig; its current one by default. */
  readonly context?: string;
  /** What a pod's own directories are below, where that is not the root. */
  readonly podRoot?: string;
}

/** What a request needs to be let in. */
export interface Credentials {
  readonly agent: HttpAgent;
  readonly headers: Readonly<Record<string, string>>;
}

/** Knows the server, and keeps what proves who we are up to date. */
export class KubeAccess {
  private agents: { readonly key: string; readonly agent: HttpAgent } | undefined;

  private constructor(
    private readonly options: AccessOptions,
    private config: KubeConfig,
    readonly server: URL,
  ) {}

  /** Loads @kubernetes/client-node and the configuration. Rejects with what the user can do about it. */
  static async load(options: AccessOptions): Promise<KubeAccess> {
    const config = await loadConfig(options);
    const server = config.getCurrentCluster()?.server;
    if (server === undefined) throw new Error(`${describe(options)} names no cluster: check its current context.`);
    return new KubeAccess(options, config, new URL(server));
  }

  /** The namespace that the context or the pod belongs to. */
  get namespace(): string | undefined {
    return this.config.getContextObject(this.config.getCurrentContext())?.namespace;
  }

  async credentials(): Promise<Credentials> {
    const options: RequestOptions = { headers: {} };
    await this.config.applyToHTTPSOptions(options);
    const headers = { ...(options.headers as Record<string, string>) };
    // A token's file may end with a newline, which no header may have.
    if (headers.Authorization !== undefined) headers.Authorization = headers.Authorization.trim();
    if (typeof options.auth === "string") {
      headers.Authorization = `Basic ${Buffer.from(options.auth).toString("base64")}`;
    }
    return { agent: this.agentFor(options), headers };
  }

  /** Reads everything anew: a token that was renewed, a certificate, a kubeconfig that was replaced. */
  async renew(): Promise<void> {
    this.config = await loadConfig(this.options);
  }

  close(): void {
    this.agents?.agent.destroy();
  }

  /** One agent for as long as the certificates are the same, so that connections are used again. */
  private agentFor({ ca, cert, key, servername, rejectUnauthorized, agent: proxied }: RequestOptions): HttpAgent {
    const tls: AgentOptions = Object.fromEntries(
      Object.entries({ ca, cert, key, servername, rejectUnauthorized }).filter(([, value]) => value !== undefined),
    );
    const identity = JSON.stringify(tls);
    if (this.agents?.key === identity) return this.agents.agent;
    const viaProxy = this.config.getCurrentCluster()?.proxyUrl !== undefined;
    const agent = viaProxy
      ? (proxied as HttpAgent)
      : this.server.protocol === "http:"
        ? new PlainAgent({ keepAlive: true })
        : new Agent({ ...tls, keepAlive: true });
    // What still goes on over the former one's connections ends by itself.
    this.agents = { key: identity, agent };
    return agent;
  }
}

async function loadConfig(options: AccessOptions): Promise<KubeConfig> {
  const { KubeConfig: Config } = await import("@kubernetes/client-node").catch((error: Error) => {
    throw new Error(`Kubernetes needs the package @kubernetes/client-node, which is not installed: ${error.message}`);
  });
  const config = new Config();
  const { kubeconfig, context } = options;
  if (kubeconfig === undefined) {
    try {
      config.loadFromCluster(options.podRoot);
      new URL(config.getCurrentCluster()?.server ?? "");
    } catch {
      throw new Error("This runs in no pod of a cluster: name a kubeconfig with --kubeconfig.");
    }
  } else {
    try {
      config.loadFromFile(kubeconfig);
      await useTokenFiles(config, kubeconfig);
    } catch (error) {
      throw new Error(`${describe(options)} cannot be read: ${(error as Error).message}`);
    }
    if (context !== undefined) config.setCurrentContext(context);
  }
  return config;
}

/** The library does not know `tokenFile` of a kubeconfig's users, which kubectl does. */
async function useTokenFiles(config: KubeConfig, path: string): Promise<void> {
  const { users } = parse(await readFile(path, "utf8")) as {
    users?: readonly { name: string; user?: { tokenFile?: string } }[];
  };
  config.users = config.users.map((user: User) => {
    const tokenFile = users?.find(({ name }) => name === user.name)?.user?.tokenFile;
    if (tokenFile === undefined) return user;
    return { ...user, authProvider: { name: "tokenFile", config: { tokenFile: resolve(dirname(path), tokenFile) } } };
  });
}

function describe({ kubeconfig }: AccessOptions): string {
  return kubeconfig === undefined ? "The pod's service account" : `The kubeconfig ${kubeconfig}`;
}
