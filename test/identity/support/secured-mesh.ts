// A whole secured Headgate as processes: `headgate serve` over TLS, and proxies that show certificates or tokens.
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ProxyView } from "../../../controlplane/admin/proxies.js";
import { freePort, loopbackAddress } from "../../harness/addresses.js";
import type { Authority } from "../../harness/certificates.js";
import { testEnvoyBinary } from "../../harness/envoy.js";
import { type Running, runHeadgate } from "../../harness/headgate.js";
import type { Scope } from "../../harness/scope.js";
import { eventually } from "../../harness/waiting.js";
import type { Issuer } from "./issuer.js";

export interface ServedProxy {
  readonly run: Running;
  readonly address: string;
  readonly id: string;
  /** Envoy's admin interface. */
  readonly envoy: string;
}

export interface ProxyOptions {
  readonly name: string;
  readonly namespace: string;
  readonly role?: "sidecar" | "router";
  readonly labels?: string;
  /** What it shows, and for whom it was made: its own namespace by default. */
  readonly shows: "certificate" | "token";
  readonly issuedFor?: string;
}

export class SecuredMesh {
  readonly policies: string;
  serve: Running | undefined;
  ads = "";
  admin = "";

  private constructor(
    private readonly scope: Scope,
    readonly directory: string,
    private readonly servers: Authority,
    private clients: Authority,
    private issuer: Issuer,
  ) {
    this.policies = join(directory, "policies");
  }

  static async create(scope: Scope, servers: Authority, clients: Authority, issuer: Issuer): Promise<SecuredMesh> {
    const mesh = new SecuredMesh(scope, await scope.directory(), servers, clients, issuer);
    await mkdir(mesh.policies);
    await mesh.put("server-ca.pem", servers.certificate);
    await mesh.renewServer();
    await mesh.trust(clients, issuer);
    return mesh;
  }

  /** Renames a file into place, as a directory of certificates should be written. */
  async put(name: string, content: string): Promise<string> {
    const path = join(this.directory, name);
    await writeFile(`${path}.new`, content, { mode: 0o600 });
    await rename(`${path}.new`, path);
    return path;
  }

  async renewServer(): Promise<void> {
    const own = await this.servers.issue(["control.example.org"]);
    await this.put("server.key", own.privateKey);
    await this.put("server.pem", own.certificate);
  }

  /** From now on only certificates and tokens of these are taken, and given to proxies. */
  async trust(clients: Authority, issuer: Issuer): Promise<void> {
    this.clients = clients;
    this.issuer = issuer;
    await this.put("client-ca.pem", clients.certificate);
    await this.put("jwks.json", issuer.keys);
  }

  /** Starts the control plane, at the same addresses as before if it ran before. */
  async start(): Promise<void> {
    const at = (name: string) => join(this.directory, name);
    this.serve = runHeadgate(this.scope, [
      ...[
        "serve",
        "--config",
        this.policies,
        "--ads",
        this.ads || "127.0.0.1:0",
        "--admin",
        this.admin || "127.0.0.1:0",
      ],
      ...["--ads-cert", at("server.pem"), "--ads-key", at("server.key"), "--ads-client-ca", at("client-ca.pem")],
      ...["--ads-tokens", at("jwks.json")],
    ]);
    const { serve } = this;
    const line = await eventually("the control plane serves", () => /^\{.*\}$/m.exec(serve.stdout())?.[0]);
    Object.assign(this, JSON.parse(line));
  }

  async stop(): Promise<void> {
    this.serve?.child.kill("SIGTERM");
    await this.serve?.exited;
  }

  /** Gives a proxy a new certificate or token; resolves with the flags that name it. */
  async renewProof({ name, namespace, shows, issuedFor = namespace }: ProxyOptions): Promise<string[]> {
    if (shows === "token") {
      const token = await this.issuer.token(issuedFor, "default");
      return ["--ads-token-file", await this.put(`${name}.token`, token)];
    }
    const own = await this.clients.issue([`spiffe://cluster.local/ns/${issuedFor}/sa/default`]);
    const key = await this.put(`${name}.key`, own.privateKey);
    return ["--ads-cert", await this.put(`${name}.pem`, own.certificate), "--ads-key", key];
  }

  /** Runs `headgate proxy`; it may never become ready. */
  async runProxy(options: ProxyOptions): Promise<ServedProxy> {
    const { name, namespace, role = "sidecar", labels = "" } = options;
    const address = await loopbackAddress(this.scope);
    const envoy = `127.0.0.1:${await freePort()}`;
    const run = runHeadgate(this.scope, [
      ...["proxy", "--role", role, "--name", name, "--namespace", namespace, "--ip", address, "--labels", labels],
      ...["--ads", this.ads, "--ads-ca", join(this.directory, "server-ca.pem")],
      ...["--ads-server-name", "control.example.org", ...(await this.renewProof(options))],
      ...["--envoy", await testEnvoyBinary(), "--concurrency", "1", "--admin", envoy, "--low-ports", "no"],
    ]);
    return { run, address, envoy, id: `${role}~${address}~${name}.${namespace}~${namespace}.svc.cluster.local` };
  }

  /** Resolves when the proxy is ready. */
  async startProxy(options: ProxyOptions): Promise<ServedProxy> {
    const proxy = await this.runProxy(options);
    await eventually(`${options.name} is ready`, () => /ready; Envoy's admin/.test(proxy.run.stderr()), 30_000);
    return proxy;
  }

  async ask(path: string): Promise<string> {
    return (await fetch(`http://${this.admin}${path}`)).text();
  }

  async proxies(): Promise<readonly ProxyView[]> {
    return (JSON.parse(await this.ask("/proxies")) as { proxies: ProxyView[] }).proxies;
  }
}
