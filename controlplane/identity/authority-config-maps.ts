// Hands the authority of ADS' certificates to proxies: in ConfigMaps, which their pods mount.
import type { KubeClient } from "../kube/client.js";
import type { KubeName } from "../kube/object.js";

export interface AuthorityConfigMapsOptions {
  readonly client: KubeClient;
  /** They are there already: whoever installs a gateway says where it finds the authority. */
  readonly configMaps: readonly Required<KubeName>[];
  /** PEM. */
  readonly certificate: string;
  /** Told once for each thing that is wrong, and when nothing is any more. */
  readonly onNotice: (notice: string) => void;
}

/** What a ConfigMap has it under. */
export const AUTHORITY_KEY = "ca.pem";
const CONFIG_MAPS = { group: "", version: "v1", plural: "configmaps" };
/** Milliseconds between looks; sooner while something is wrong. */
const LOOK_MS = 60_000;
const RETRY_MS = 2_000;

/** Sets the certificate, and sets it again should somebody take it away. */
export function keepConfigMaps(options: AuthorityConfigMapsOptions): { close(): void } {
  const { client, configMaps, certificate, onNotice } = options;
  let wrong = "";
  let closed = false;
  let timer: NodeJS.Timeout | undefined;

  async function look(): Promise<void> {
    const faults: string[] = [];
    for (const configMap of configMaps) {
      const fault = await setAuthority(client, configMap, certificate);
      if (fault !== undefined) faults.push(`ConfigMap ${configMap.namespace}/${configMap.name}: ${fault}`);
    }
    if (closed) return;
    const fault = faults.join("; ");
    if (fault !== wrong) onNotice(fault === "" ? "all is well again" : fault);
    wrong = fault;
    timer = setTimeout(() => void look(), fault === "" ? LOOK_MS : RETRY_MS).unref();
  }

  void look();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** By server-side apply: whatever else is in it belongs to others. Resolves with what is wrong. */
async function setAuthority(
  client: KubeClient,
  configMap: Required<KubeName>,
  certificate: string,
): Promise<string | undefined> {
  try {
    const found = await client.get(CONFIG_MAPS, configMap);
    if (found === undefined) return "there is none";
    if ((found.data as Readonly<Record<string, string>> | undefined)?.[AUTHORITY_KEY] === certificate) return undefined;
    const object = { apiVersion: "v1", kind: "ConfigMap", metadata: configMap, data: { [AUTHORITY_KEY]: certificate } };
    await client.apply(CONFIG_MAPS, configMap, object, { fieldManager: "headgate-ads" });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
