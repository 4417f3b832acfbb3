// The flags of `headgate proxy` that say how it proves to the control plane who it is.
import { resolve } from "node:path";
import type { AdsCredentials } from "../agent/ads-credentials.js";
import type { HostPort } from "../agent/bootstrap.js";
import { isLoopback } from "../xds/address.js";
import type { OptionValues } from "./command.js";

/** `ads` is undefined when it is faulty itself. */
export function readCredentials(
  options: OptionValues,
  cwd: string,
  ads: HostPort | undefined,
): { readonly value: AdsCredentials } | { readonly errors: readonly string[] } {
  const file = (name: string) => (typeof options[name] === "string" ? resolve(cwd, options[name]) : undefined);
  const [ca, chain, key, token] = ["adsCa", "adsCert", "adsKey", "adsTokenFile"].map(file);
  const serverName = options.adsServerName;
  const errors: string[] = [];
  if ((chain === undefined) !== (key === undefined)) errors.push("--ads-cert and --ads-key belong together");
  if (chain !== undefined && ca === undefined) errors.push("--ads-cert needs --ads-ca");
  if (serverName !== undefined && ca === undefined) errors.push("--ads-server-name needs --ads-ca");
  if (token !== undefined && ca === undefined && ads && !isLoopback(ads.host)) {
    errors.push(`--ads-token-file would be sent to ${ads.host} in the clear: give --ads-ca`);
  }
  if (errors.length > 0) return { errors };
  return {
    value: {
      ...(ca === undefined ? {} : { ca }),
      ...(typeof serverName === "string" ? { serverName } : {}),
      ...(chain !== undefined && key !== undefined ? { certificate: { chain, key } } : {}),
      ...(token === undefined ? {} : { token }),
    },
  };
}
