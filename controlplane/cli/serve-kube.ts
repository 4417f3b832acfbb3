// The flags of `headgate serve` that say which cluster is read, and what of it.
import type { KubernetesSourceOptions } from "../sources/kubernetes.js";
import { ACCESS_OPTIONS, connectToCluster } from "./cluster-access.js";
import type { CommandIo, CommandOption, OptionValues } from "./command.js";
import { type Read, readNamespaces } from "./flag-values.js";

export const KUBE_OPTIONS: readonly CommandOption[] = [
  { flags: "--kube", summary: "read the Kubernetes cluster; objects of --config directories win over its own" },
  ...ACCESS_OPTIONS,
  { flags: "--kube-namespaces <names>", summary: "read only these namespaces, as in a,b (default: all)" },
  { flags: "--kube-secret-namespaces <names>", summary: "read Secrets of these alone (default: as --kube-namespaces)" },
  { flags: "--kube-selector <selector>", summary: "read only policies with these labels, as in app=a,env!=test" },
];

/** Undefined without --kube. Connects to nothing yet, but loads what it takes to. */
export async function readServeKube(
  options: OptionValues,
  io: Pick<CommandIo, "cwd" | "env" | "signal">,
  onNotice: (notice: string) => void,
): Promise<Read<Omit<KubernetesSourceOptions, "defaultNamespace"> | undefined>> {
  const text = (name: string) => (typeof options[name] === "string" ? options[name] : undefined);
  if (options.kube !== true) {
    const flag = KUBE_OPTIONS.map(({ flags }) => flags.split(" ")[0] as string).find((name) => name in given(options));
    return flag === undefined ? { value: undefined } : { error: `${flag} needs --kube` };
  }
  const namespaces = readNames("--kube-namespaces", text("kubeNamespaces"));
  if ("error" in namespaces) return namespaces;
  const secrets = readNames("--kube-secret-namespaces", text("kubeSecretNamespaces"));
  if ("error" in secrets) return secrets;
  const selector = text("kubeSelector");
  const connected = await connectToCluster(options, io);
  if ("error" in connected) return connected;
  return {
    value: {
      client: connected.value,
      onNotice,
      signal: io.signal,
      ...(namespaces.value ? { namespaces: namespaces.value } : {}),
      ...(secrets.value ? { secretNamespaces: secrets.value } : {}),
      ...(selector === undefined ? {} : { policySelector: selector }),
    },
  };
}

/** The flags that were given, as they are written. */
function given(options: OptionValues): object {
  const names = Object.keys(options).map(
    (name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
  );
  return Object.fromEntries(names.map((name) => [name, true]));
}

function readNames(flag: string, text: string | undefined): Read<readonly string[] | undefined> {
  return text === undefined ? { value: undefined } : readNamespaces(flag, text);
}
