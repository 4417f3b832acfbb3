// A network namespace of its own, linked to the test's, for what only a separate network stack can show: capture.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Scope } from "./scope.js";
import { eventually } from "./waiting.js";

const run = promisify(execFile);

export interface NetworkNamespace {
  readonly name: string;
  /** Its own addresses. */
  readonly address: string;
  readonly address6: string;
  /** The test's end of the link, which is also the way to everywhere else. */
  readonly outside: string;
  readonly outside6: string;
  /** Runs a command inside to its end and gives what it printed; rejects when it fails, with its exit code as `code`. */
  exec(...command: string[]): Promise<string>;
}

/** Why there can be none here, or undefined where there can. */
export async function namespaceObstacle(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "root is needed";
  for (const command of ["ip", "iptables", "ip6tables", "curl", "setpriv"]) {
    const found = await run("sh", ["-c", `command -v ${command}`]).catch(() => undefined);
    if (!found) return `${command} is not installed`;
  }
  const name = `headgate-try-${process.pid}`;
  try {
    await run("ip", ["netns", "add", name]);
    await run("ip", ["netns", "exec", name, "iptables", "-t", "nat", "-S"]);
    await run("ip", ["netns", "exec", name, "ip6tables", "-t", "nat", "-S"]);
    return undefined;
  } catch (error) {
    return `network namespaces or iptables do not work here: ${String(error).split("\n", 1)[0]}`;
  } finally {
    await run("ip", ["netns", "del", name]).catch(() => undefined);
  }
}

/** Makes a namespace with a link to this one; both are gone when the scope closes. */
export async function createNamespace(scope: Scope): Promise<NetworkNamespace> {
  const id = process.pid % 65_536;
  const name = `headgate-${process.pid}`;
  const [high, low] = [id >> 8, id & 255];
  // 198.18.0.0/15 and fd00::/8 are nobody's on the internet. Each process has a /30 of its own.
  const block = `198.${18 + (high >> 7)}.${((high & 127) << 1) | (low >> 7)}`;
  const base = (low & 63) << 2;
  const prefix6 = `fd48:6764:${id.toString(16)}::`;
  const [outside, address] = [`${block}.${base + 1}`, `${block}.${base + 2}`];
  const [outside6, address6] = [`${prefix6}1`, `${prefix6}2`];
  const ip = (...args: string[]) => run("ip", args);
  await ip("netns", "add", name);
  scope.use({ close: () => ip("netns", "del", name) });
  const [here, there] = [`hg${id}a`, `hg${id}b`];
  await ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", name);
  scope.use({ close: () => ip("link", "del", here).catch(() => undefined) });
  const exec = async (...command: string[]) => (await ip("netns", "exec", name, ...command)).stdout;
  await ip("address", "add", `${outside}/30`, "dev", here);
  await ip("-6", "address", "add", `${outside6}/64`, "dev", here, "nodad");
  await ip("link", "set", here, "up");
  await exec("ip", "link", "set", "lo", "up");
  await exec("ip", "address", "add", `${address}/30`, "dev", there);
  await exec("ip", "-6", "address", "add", `${address6}/64`, "dev", there, "nodad");
  await exec("ip", "link", "set", there, "up");
  await exec("ip", "route", "add", "default", "via", outside);
  await exec("ip", "-6", "route", "add", "default", "via", outside6);
  await eventually(
    "the link is up",
    async () => !(await ip("-6", "address", "show", here)).stdout.includes("tentative"),
  );
  return { name, address, address6, outside, outside6, exec };
}
