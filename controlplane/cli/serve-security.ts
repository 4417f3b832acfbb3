// The flags of `headgate serve` that say who may talk to it: read, checked together, and made into what ADS needs.
import { resolve } from "node:path";
import { type AdsSecurity, createAdsSecurity } from "../identity/ads-security.js";
import type { IssuedTls } from "../identity/issued-tls.js";
import { isTrustDomain } from "../identity/spiffe.js";
import { createTokenReview } from "../identity/token-review.js";
import type { KubeClient } from "../kube/client.js";
import { isLoopback } from "../xds/address.js";
import type { CommandOption, OptionValues } from "./command.js";
import { type Read, readHostPort } from "./flag-values.js";

export const SECURITY_OPTIONS: readonly CommandOption[] = [
  { flags: "--ads-cert <file>", summary: "serve ADS over TLS with this certificate chain (PEM, followed)" },
  { flags: "--ads-key <file>", summary: "its private key (PEM, followed)" },
  { flags: "--ads-client-ca <file>", summary: "know proxies by certificates of this authority (PEM, followed)" },
  { flags: "--ads-tokens <file>", summary: "know proxies by tokens (JWT) of the public keys in this JWKS (followed)" },
  {
    flags: "--ads-token-review",
    summary: "know proxies by tokens of their pods, asked about at the cluster of --kube",
  },
  { flags: "--ads-token-audience <name>", summary: "whom tokens must be meant for", default: "headgate" },
  { flags: "--trust-domain <name>", summary: "the trust domain of SPIFFE identities", default: "cluster.local" },
  {
    flags: "--admin-remote",
    summary: "allow an --admin address that other machines can reach: it asks nobody who they are",
  },
];

export interface ServeSecurity {
  readonly ads: AdsSecurity;
  readonly allowRemoteAdmin: boolean;
  /** What is open to whom, where that deserves a line in the log. */
  readonly warnings: readonly string[];
}

/** Takes addresses that are well-formed. Files that cannot be used are an error, as are flags that leave a door open. */
export async function readServeSecurity(
  options: OptionValues,
  cwd: string,
  onNotice: (notice: string) => void,
  client?: KubeClient,
  issued?: IssuedTls,
): Promise<Read<ServeSecurity>> {
  const file = (name: string) => (typeof options[name] === "string" ? resolve(cwd, options[name]) : undefined);
  const [certificate, key, clientCa, keys] = ["adsCert", "adsKey", "adsClientCa", "adsTokens"].map(file);
  const [ads, admin] = [String(options.ads), String(options.admin)];
  const isRemote = (address: string) => {
    const read = readHostPort("", address);
    return "error" in read || !isLoopback(read.value.host);
  };
  const isReview = options.adsTokenReview === true;
  const audience = String(options.adsTokenAudience);
  const allowRemoteAdmin = options.adminRemote === true;
  const fault = faultOf();
  if (fault) return { error: fault };

  function faultOf(): string | undefined {
    if (!isTrustDomain(String(options.trustDomain))) return "--trust-domain is lower-case letters, digits, . _ and -";
    if ((certificate === undefined) !== (key === undefined)) return "--ads-cert and --ads-key belong together";
    if (clientCa !== undefined && certificate === undefined && issued === undefined) {
      return "--ads-client-ca needs --ads-cert and --ads-key, or on a cluster --ads-service";
    }
    if (isRemote(ads) && certificate === undefined && issued === undefined) {
      return `--ads ${ads} can be reached from other machines: give --ads-cert and --ads-key, or on a cluster --ads-service`;
    }
    if (isReview && client === undefined) return "--ads-token-review needs --kube";
    if (isReview && keys !== undefined) return "--ads-token-review and --ads-tokens exclude each other";
    if (isRemote(ads) && clientCa === undefined && keys === undefined && !isReview) {
      return `--ads ${ads} would give every namespace's secrets to anybody: give --ads-client-ca or --ads-tokens, or on a cluster --ads-token-review`;
    }
    if (isRemote(admin) && !allowRemoteAdmin) {
      return `--admin ${admin} can be reached from other machines, and the admin asks nobody who they are: give --admin-remote if that is meant`;
    }
    return undefined;
  }

  const security = await createAdsSecurity({
    trustDomain: String(options.trustDomain),
    onNotice,
    ...(certificate !== undefined && key !== undefined
      ? { tls: { certificate, key, ...(clientCa === undefined ? {} : { clientCa }) } }
      : {}),
    ...(issued === undefined ? {} : { issued, ...(clientCa === undefined ? {} : { issuedClientCa: clientCa }) }),
    ...(keys === undefined ? {} : { tokens: { keys, audience } }),
    ...(isReview && client ? { tokenReview: createTokenReview({ client, audience }) } : {}),
  });
  if ("error" in security) return security;
  const warnings = isRemote(admin) ? [`the admin at ${admin} tells everybody who can reach it about the mesh`] : [];
  return { value: { ads: security.value, allowRemoteAdmin, warnings } };
}
