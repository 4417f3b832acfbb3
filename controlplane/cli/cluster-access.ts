// The flags that say how a cluster is reached, by kubectl's conventions.
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { KubeClient } from "../kube/client.js";
import type { CommandIo, CommandOption, OptionValues } from "./command.js";
import type { Read } from "./flag-values.js";

export const ACCESS_OPTIONS: readonly CommandOption[] = [
  {
    flags: "--kubeconfig <file>",
    summary: "how to reach it (default: the pod's service account, or else $KUBECONFIG or ~/.kube/config)",
  },
  { flags: "--kube-context <name>", summary: "a context of the kubeconfig (default: its current one)" },
];

/** Connects to nothing yet, but loads what it takes to. */
export async function connectToCluster(
  options: OptionValues,
  io: Pick<CommandIo, "cwd" | "env">,
): Promise<Read<KubeClient>> {
  const text = (name: string) => (typeof options[name] === "string" ? options[name] : undefined);
  const [kubeconfig, context] = [findKubeconfig(text("kubeconfig"), io), text("kubeContext")];
  try {
    const client = await KubeClient.connect({
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
      ...(context === undefined ? {} : { context }),
    });
    return { value: client };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

/** Undefined for the pod's service account. */
function findKubeconfig(flag: string | undefined, { cwd, env }: Pick<CommandIo, "cwd" | "env">): string | undefined {
  if (flag !== undefined) return resolve(cwd, flag);
  if (env.KUBERNETES_SERVICE_HOST) return undefined;
  const named = env.KUBECONFIG?.split(delimiter).find(Boolean);
  if (named !== undefined) return resolve(cwd, named);
  const usual = join(env.HOME || homedir(), ".kube", "config");
  return existsSync(usual) ? usual : undefined;
}
