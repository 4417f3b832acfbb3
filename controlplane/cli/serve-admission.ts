// The flags of `headgate serve` for the validating webhook.
import type { WebhookOptions } from "../admission/webhook.js";
import type { KubeClient } from "../kube/client.js";
import type { CommandOption, OptionValues } from "./command.js";
import { type Read, readHostPort } from "./flag-values.js";

export const WEBHOOK_OPTIONS: readonly CommandOption[] = [
  {
    flags: "--webhook <host:port>",
    summary: "serve the validating webhook there, over TLS; port 0: any (default: not at all)",
  },
  {
    flags: "--webhook-service <namespace/name>",
    summary: "the Service by which the API server reaches it; its certificate is kept in that namespace",
    default: "headgate-system/headgate",
  },
  { flags: "--webhook-name <name>", summary: "a further name or address in its certificate", repeatable: true },
  {
    flags: "--webhook-configuration <name>",
    summary: "the ValidatingWebhookConfiguration that is told of its certificate",
    default: "headgate",
  },
];

/** Undefined without --webhook. */
export function readServeAdmission(
  options: OptionValues,
  client: KubeClient | undefined,
): Read<Omit<WebhookOptions, "onNotice"> | undefined> {
  if (typeof options.webhook !== "string") return { value: undefined };
  if (client === undefined) return { error: "--webhook needs --kube" };
  const address = readHostPort("--webhook", options.webhook);
  if ("error" in address) return address;
  const [namespace, service, ...more] = String(options.webhookService).split("/");
  if (!namespace || !service || more.length > 0) {
    return { error: `--webhook-service is "${options.webhookService}": write NAMESPACE/NAME` };
  }
  return {
    value: {
      client,
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
