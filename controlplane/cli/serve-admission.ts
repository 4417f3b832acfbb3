// The flags of `headgate serve` for the webhooks: what they refuse, and which sidecar they give to pods.
import type { WebhookOptions } from "../admission/webhook.js";
import type { InjectionSettings } from "../injection/sidecar.js";
import type { KubeClient } from "../kube/client.js";
import type { CommandOption, OptionValues } from "./command.js";
import { type Read, readHostPort } from "./flag-values.js";
import { readInjectionSettings } from "./injection-settings.js";

export const WEBHOOK_OPTIONS: readonly CommandOption[] = [
  {
    flags: "--webhook <host:port>",
    summary: "serve the webhooks there, over TLS; port 0: any (default: not at all)",
  },
  {
    flags: "--webhook-service <namespace/name>",
    summary: "the Service by which the API server reaches it; its certificate is kept in that namespace",
    default: "headgate-system/headgate",
  },
  { flags: "--webhook-name <name>", summary: "a further name or address in its certificate", repeatable: true },
  {
    flags: "--webhook-configuration <name>",
    summary: "the webhook configurations that are told of its certificate",
    default: "headgate",
  },
  { flags: "--inject-image <image>", summary: "give pods a sidecar with this image (default: give none)" },
  { flags: "--inject-ads <host:port>", summary: "where these sidecars reach the control plane" },
  {
    flags: "--inject-ads-ca <file>",
    summary: "the authority of its certificate (PEM; default: that of --ads-service)",
  },
];

/** Undefined without --webhook. `authority` (PEM) is that of ADS, where the control plane has one of its own. */
export function readServeAdmission(
  options: OptionValues,
  cwd: string,
  client: KubeClient | undefined,
  authority?: string,
): Read<Omit<WebhookOptions, "onNotice"> | undefined> {
  if (typeof options.webhook !== "string") return { value: undefined };
  if (client === undefined) return { error: "--webhook needs --kube" };
  const address = readHostPort("--webhook", options.webhook);
  if ("error" in address) return address;
  const [namespace, service, ...more] = String(options.webhookService).split("/");
  if (!namespace || !service || more.length > 0) {
    return { error: `--webhook-service is "${options.webhookService}": write NAMESPACE/NAME` };
  }
  const injection = readInjection(options, cwd, authority);
  if ("error" in injection) return injection;
  return {
    value: {
      client,
      ...(injection.value === undefined ? {} : { injection: injection.value }),
      ...address.value,
      configuration: String(options.webhookConfiguration),
      secret: {
        namespace,
        name: `${service}-webhook`,
        names: [`${service}.${namespace}.svc`, ...((options.webhookName ?? []) as readonly string[])],
      },
    },
  };
}

function readInjection(
  options: OptionValues,
  cwd: string,
  authority: string | undefined,
): Read<InjectionSettings | undefined> {
  const { injectImage: image, injectAds: ads, injectAdsCa: file } = options;
  if (typeof image !== "string") {
    return ads === undefined && file === undefined
      ? { value: undefined }
      : { error: "--inject-ads and --inject-ads-ca need --inject-image" };
  }
  if (typeof ads !== "string") return { error: "--inject-image needs --inject-ads" };
  const given = { image, ads, adsCa: file, audience: options.adsTokenAudience };
  const read = readInjectionSettings("--inject-", given, cwd);
  if ("error" in read || authority === undefined) return read;
  return { value: { adsCa: authority, ...read.value } };
}
