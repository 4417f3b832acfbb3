// The flags of `headgate serve` for an ADS certificate of its own making, on a cluster.
import { setTimeout as sleep } from "node:timers/promises";
import type { Authority } from "../certificates/authority.js";
import { shareAuthority } from "../identity/ads-authority.js";
import { keepConfigMaps } from "../identity/authority-config-maps.js";
import { type IssuedTls, issueTls } from "../identity/issued-tls.js";
import { Backoff } from "../kube/backoff.js";
import type { KubeClient } from "../kube/client.js";
import type { KubeName } from "../kube/object.js";
import type { CommandOption, OptionValues } from "./command.js";
import { isNamespace, type Read, readNamespaces } from "./flag-values.js";

export const AUTHORITY_OPTIONS: readonly CommandOption[] = [
  {
    flags: "--ads-service <namespace/name>",
    summary:
      "serve ADS over TLS as this Service of the cluster, with a certificate of an authority that is kept in its namespace",
  },
  {
    flags: "--ads-ca-namespaces <names>",
    summary: "where a ConfigMap NAME-ads-ca is told of that authority, as in a,b (default: the Service's namespace)",
  },
];

export interface ServeAuthority {
  readonly tls: IssuedTls;
  /** PEM. */
  readonly certificate: string;
  close(): void;
}

interface AuthorityPlace {
  readonly secret: Required<KubeName>;
  readonly configMaps: readonly Required<KubeName>[];
  readonly names: readonly [string, ...string[]];
}

/**
 * Undefined without --ads-service. Resolves once the cluster has told or taken the authority, which it is asked for until
 * then; rejects when the signal is aborted before.
 */
export async function openServeAuthority(
  options: OptionValues,
  client: KubeClient | undefined,
  signal: AbortSignal,
  onNotice: (notice: string) => void,
): Promise<Read<ServeAuthority | undefined>> {
  const place = readPlace(options, client !== undefined);
  if ("error" in place) return place;
  if (place.value === undefined || client === undefined) return { value: undefined };
  const { secret, configMaps, names } = place.value;
  const authority = await obtainAuthority(client, secret, signal, onNotice);
  const { certificate } = authority;
  const onFault = (error: Error) => onNotice(`the certificate is not renewed: ${error.message}`);
  const tls = await issueTls(authority, { names, onFault });
  const kept = keepConfigMaps({ client, configMaps, certificate, onNotice });
  return {
    value: {
      tls,
      certificate,
      close() {
        tls.close();
        kept.close();
      },
    },
  };
}

function readPlace(options: OptionValues, isKube: boolean): Read<AuthorityPlace | undefined> {
  const { adsService, adsCaNamespaces } = options;
  if (typeof adsService !== "string") {
    return adsCaNamespaces === undefined ? { value: undefined } : { error: "--ads-ca-namespaces needs --ads-service" };
  }
  if (!isKube) return { error: "--ads-service needs --kube" };
  if (options.adsCert !== undefined) return { error: "--ads-service and --ads-cert exclude each other" };
  const [namespace = "", name = "", ...more] = adsService.split("/");
  if (!isNamespace(namespace) || !isNamespace(name) || more.length > 0) {
    return { error: `--ads-service is "${adsService}": write NAMESPACE/NAME` };
  }
  const namespaces = readNamespaces("--ads-ca-namespaces", String(adsCaNamespaces ?? namespace));
  if ("error" in namespaces) return namespaces;
  return {
    value: {
      secret: { namespace, name: `${name}-ads` },
      configMaps: namespaces.value.map((each) => ({ namespace: each, name: `${name}-ads-ca` })),
      names: [`${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`, `${name}.${namespace}`],
    },
  };
}

async function obtainAuthority(
  client: KubeClient,
  secret: Required<KubeName>,
  signal: AbortSignal,
  onNotice: (notice: string) => void,
): Promise<Authority> {
  const backoff = new Backoff();
  let told = "";
  for (;;) {
    try {
      return await shareAuthority(client, secret);
    } catch (error) {
      const { message } = error as Error;
      if (message !== told) onNotice(`waiting for the authority: ${message}`);
      told = message;
      await sleep(backoff.next(error), undefined, { signal });
    }
  }
}
