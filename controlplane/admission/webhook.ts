// The webhooks as a whole: the server, and the certificate that it and the API server agree on.
import { setTimeout as sleep } from "node:timers/promises";
import type { InjectionSettings } from "../injection/sidecar.js";
import type { KubeClient } from "../kube/client.js";
import { createReader } from "../sources/reader.js";
import { type SharedCertificateOptions, shareCertificate } from "./certificate-secret.js";
import { injectionReviewer, validationReviewer } from "./reviewers.js";
import { createAdmissionServer, type Reviewer } from "./server.js";
import { MUTATING, trustAuthorities, VALIDATING } from "./webhook-configuration.js";

export interface WebhookOptions {
  readonly client: KubeClient;
  readonly host: string;
  /** 0 for a free one. */
  readonly port: number;
  /** Of the ValidatingWebhookConfiguration, and of the MutatingWebhookConfiguration for injection. */
  readonly configuration: string;
  /** Without it no pod gets a sidecar. */
  readonly injection?: InjectionSettings;
  readonly secret: Omit<SharedCertificateOptions, "client">;
  /** Milliseconds between looks at the certificate; a minute by default. */
  readonly lookMs?: number;
  /** Milliseconds that API servers are given to hear of a new authority before its certificate is shown; 5,000 by default. */
  readonly settleMs?: number;
  /** Told once for each thing that is wrong, and when nothing is any more. */
  readonly onNotice: (notice: string) => void;
}

export interface Webhook {
  /** host:port that is served. */
  readonly address: string;
  close(): Promise<void>;
}

const LOOK_MS = 60_000;
const SETTLE_MS = 5_000;
/** Milliseconds between looks while something is wrong. */
const RETRY_MS = 2_000;
/** Milliseconds for one object, less than the API server waits. */
const CHECK_MS = 4_000;

/** Resolves once the address is bound; the certificate comes as soon as the cluster answers. */
export async function startWebhook(options: WebhookOptions): Promise<Webhook> {
  const { client, configuration, injection, secret, onNotice, lookMs = LOOK_MS, settleMs = SETTLE_MS } = options;
  const reader = createReader({ timeoutMs: CHECK_MS });
  const reviewers = new Map<string, Reviewer>([["/validate", validationReviewer(reader)]]);
  if (injection) reviewers.set("/inject", injectionReviewer(injection));
  const server = createAdmissionServer(reviewers);
  const kinds = [VALIDATING, ...(injection ? [MUTATING] : [])];
  let [used, wrong] = ["", ""];
  let closed = false;
  let timer: NodeJS.Timeout | undefined;

  /** Each API server trusts a certificate before it is shown in place of another. */
  async function renew(): Promise<string> {
    const shared = await shareCertificate({ client, ...secret });
    const missing: string[] = [];
    for (const type of kinds) {
      if (!(await trustAuthorities(client, type, configuration, shared.authorities))) missing.push(type.kind);
    }
    if (shared.certificate !== used) {
      if (used !== "") await sleep(settleMs, undefined, { ref: false });
      server.useCertificate(shared.certificate, shared.privateKey);
      used = shared.certificate;
    }
    return missing.length === 0 ? "" : `there is no ${missing.join(" and no ")} ${configuration}`;
  }

  async function look(): Promise<void> {
    const fault = await renew().catch((error: Error) => `its certificate is not to be had: ${error.message}`);
    if (closed) return;
    if (fault !== wrong) onNotice(fault === "" ? "all is well again" : fault);
    wrong = fault;
    timer = setTimeout(() => void look(), fault === "" ? lookMs : Math.min(RETRY_MS, lookMs)).unref();
  }

  const address = await server.listen(options.host, options.port);
  void look();
  return {
    address,
    async close() {
      closed = true;
      clearTimeout(timer);
      await server.close();
      await reader.close();
    },
  };
}
