// A real Kubernetes API server with etcd behind it, on loopback, in a directory of its own.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { KubeClient } from "../../../controlplane/kube/client.js";
import { sendForStream } from "../../../controlplane/kube/request.js";
import { freePort } from "../../harness/addresses.js";
import { createAuthority } from "../../harness/certificates.js";
import type { Scope } from "../../harness/scope.js";
import { eventually } from "../../harness/waiting.js";
import { findKubeBinaries, type KubeBinaries } from "./binaries.js";

const START_MS = 60_000;
const NAMESPACES = { group: "", version: "v1", plural: "namespaces" };

export interface ClusterOptions {
  /** Arguments of kube-apiserver beside the usual ones. */
  readonly apiServerArguments?: readonly string[];
}

export interface Cluster {
  /** https://127.0.0.1:port */
  readonly server: string;
  /** Its directory: certificates are in it, logs, and what tests put there. */
  readonly directory: string;
  /** The path of the administrator's kubeconfig, and the token in it. */
  readonly kubeconfig: string;
  readonly token: string;
  /** As the administrator. */
  readonly client: KubeClient;
  /** Runs kubectl as the administrator, and resolves with what it printed. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** Writes a kubeconfig for another user or server, and resolves with its path. */
  writeKubeconfig(name: string, options: { readonly server?: string; readonly user: object }): Promise<string>;
  readonly etcd: ServerProcess;
  readonly apiServer: ServerProcess;
}

/** One of the cluster's processes, which tests end and start again. */
export interface ServerProcess {
  readonly pid: number;
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same data and port, and resolves when it is ready. */
  start(): Promise<void>;
}

/** The binaries if they are there; without them the tests are skipped, and say why. */
export const kubeBinaries = await findKubeBinaries({ env: process.env, get: false });
if ("error" in kubeBinaries) console.warn(`Tests on a real API server are skipped. ${kubeBinaries.error}`);

/** Starts both, and resolves when the API server is ready; the scope ends them. Rejects without binaries. */
export async function startCluster(scope: Scope, options: ClusterOptions = {}): Promise<Cluster> {
  const found = await findKubeBinaries({ env: process.env, get: false });
  if ("error" in found) throw new Error(found.error);
  const binaries = found.value;
  const directory = await scope.directory();
  const [port, etcdPort, peerPort] = [await freePort(), await freePort(), await freePort()];
  const server = `https://127.0.0.1:${port}`;
  const token = randomBytes(16).toString("hex");
  await writeKeys(directory, token);

  const writeKubeconfig: Cluster["writeKubeconfig"] = async (name, { user, server: other = server }) => {
    const path = join(directory, name);
    const cluster = { server: other, "certificate-authority": join(directory, "ca.crt") };
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "test", cluster }],
      users: [{ name: "test", user }],
      contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
      "current-context": "test",
    };
    await writeFile(path, JSON.stringify(config));
    await chmod(path, 0o600);
    return path;
  };
  const kubeconfig = await writeKubeconfig("admin.kubeconfig", { user: { token } });
  const client = scope.use(await KubeClient.connect({ kubeconfig }));

  const etcd = await startServer(
    scope,
    directory,
    binaries.etcd,
    etcdArguments(directory, etcdPort, peerPort),
    async () => (await fetch(`http://127.0.0.1:${etcdPort}/health`)).ok,
  );
  const serverArguments = [...apiServerArguments(directory, port, etcdPort), ...(options.apiServerArguments ?? [])];
  const apiServer = await startServer(scope, directory, binaries.apiServer, serverArguments, async () => {
    (await sendForStream(client.access, { method: "GET", path: "/readyz" }, 1_000)).resume();
    return (await client.get(NAMESPACES, { name: "default" })) !== undefined;
  });
  return {
    server,
    directory,
    kubeconfig,
    token,
    client,
    kubectl: (args, input) => runKubectl(binaries, kubeconfig, args, input),
    writeKubeconfig,
    etcd,
    apiServer,
  };
}

async function writeKeys(directory: string, token: string): Promise<void> {
  const authority = await createAuthority("test");
  const serving = await authority.issue(["localhost", "127.0.0.1"]);
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const files = {
    "ca.crt": authority.certificate,
    "tls.crt": serving.certificate,
    "tls.key": serving.privateKey,
    "sa.pub": publicKey.export({ type: "spki", format: "pem" }),
    "sa.key": privateKey.export({ type: "pkcs8", format: "pem" }),
    "tokens.csv": `${token},admin,admin,system:masters\n`,
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content, { mode: 0o600 });
}

function etcdArguments(directory: string, port: number, peerPort: number): readonly string[] {
  const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
  return [
    ...["--name", "test", "--data-dir", join(directory, "etcd"), "--log-level", "warn"],
    // The data is thrown away with the test.
    "--unsafe-no-fsync",
    ...["--listen-client-urls", client, "--advertise-client-urls", client],
    ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `test=${peer}`],
  ];
}

function apiServerArguments(directory: string, port: number, etcdPort: number): readonly string[] {
  const file = (name: string) => join(directory, name);
  return [
    ...["--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", String(port)],
    ...["--etcd-servers", `http://127.0.0.1:${etcdPort}`, "--endpoint-reconciler-type", "none"],
    ...["--tls-cert-file", file("tls.crt"), "--tls-private-key-file", file("tls.key"), "--cert-dir", directory],
    ...["--service-account-issuer", `https://127.0.0.1:${port}`],
    ...["--service-account-key-file", file("sa.pub"), "--service-account-signing-key-file", file("sa.key")],
    ...["--token-auth-file", file("tokens.csv"), "--client-ca-file", file("ca.crt")],
    ...["--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.96.0.0/16", "--allow-privileged"],
    // There are neither controllers that make service accounts nor nodes.
    ...["--disable-admission-plugins", "ServiceAccount,TaintNodesByCondition", "--shutdown-delay-duration", "0s"],
  ];
}

async function startServer(
  scope: Scope,
  directory: string,
  program: string,
  args: readonly string[],
  ready: () => Promise<boolean>,
): Promise<ServerProcess> {
  const name = program.split("/").at(-1) as string;
  const log = join(directory, `${name}.log`);
  let child: ChildProcess;
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const kill = async (signal: NodeJS.Signals = "SIGKILL") => {
    if (!isRunning()) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  };
  const start = async () => {
    child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    const lines = createWriteStream(log, { flags: "a" });
    child.stdout?.pipe(lines, { end: false });
    child.stderr?.pipe(lines, { end: false });
    child.on("error", () => {});
    const lost = async () => new Error(`${name} ended: ${(await readFile(log, "utf8").catch(() => "")).slice(-2_000)}`);
    await eventually(`${name} is ready`, async () => !isRunning() || ready(), START_MS);
    if (!isRunning()) throw await lost();
  };
  scope.use({ close: () => kill() });
  await start();
  return {
    get pid() {
      return child.pid as number;
    },
    kill,
    start,
  };
}

async function runKubectl({ kubectl }: KubeBinaries, kubeconfig: string, args: readonly string[], input?: string) {
  const running = promisify(execFile)(kubectl, ["--kubeconfig", kubeconfig, ...args], { maxBuffer: 64 * 1_048_576 });
  // A command that takes nothing from there may have ended by now.
  running.child.stdin?.on("error", () => {});
  running.child.stdin?.end(input ?? "");
  return (await running).stdout;
}
