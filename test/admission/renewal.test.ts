// The webhook's certificate, replaced while the API server asks without a pause: no write is held up by it.
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { startWebhook, type Webhook } from "../../controlplane/admission/webhook.js";
import { type Authority, createAuthority } from "../harness/certificates.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "../kube/support/cluster.js";
import { installCustomResources, typeOf } from "../kube/support/custom-resources.js";

interface Configuration {
  readonly webhooks: readonly [{ readonly clientConfig: { readonly caBundle: string } }];
}

const SECRETS = { group: "", version: "v1", plural: "secrets" };
const CONFIGURATIONS = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural: "validatingwebhookconfigurations",
};
const AT = { namespace: "headgate-system", name: "headgate-webhook" };

describe.skipIf("error" in kubeBinaries)("a webhook's certificate", () => {
  const scope = testScope();
  let cluster: Cluster;
  let webhook: Webhook;
  let old: Authority;
  let names = 0;

  /** The certificate that new connections are shown. */
  const shown = () =>
    new Promise<X509Certificate>((resolve, reject) => {
      const [host = "", port] = webhook.address.split(":");
      const socket = connect({ host, port: Number(port), rejectUnauthorized: false }, () => {
        resolve(new X509Certificate(socket.getPeerX509Certificate()?.raw as Buffer));
        socket.destroy();
      });
      socket.on("error", reject);
    });
  const isOld = async () => (await shown()).checkIssued(new X509Certificate(old.certificate));

  /** What the Secret holds when the certificate has so many days left. */
  async function certificateFor(days: number) {
    const own = await old.issue(["127.0.0.1"], { days });
    return { "tls.crt": own.certificate, "tls.key": own.privateKey, "ca.crt": old.certificate };
  }

  /** The authorities that the API server knows of. */
  const trusted = async () => {
    const found = (await cluster.client.get(CONFIGURATIONS, { name: "headgate" })) as unknown as Configuration;
    return Buffer.from(found.webhooks[0].clientConfig.caBundle, "base64").toString();
  };

  /** Writes a policy, about which the webhook must be asked; rejects when it cannot be. */
  const write = () =>
    cluster.client.create(
      typeOf("VirtualService"),
      {
        apiVersion: "networking.istio.io/v1",
        kind: "VirtualService",
        metadata: { name: `policy-${++names}` },
        spec: { hosts: ["a"], http: [{ directResponse: { status: 200 } }] },
      },
      "default",
    );

  /** Four writers, until they are stopped; then it resolves with what failed. */
  function keepWriting() {
    const failures: unknown[] = [];
    const stopped = new AbortController();
    const writing = { written: 0, stop };
    const writers = Array.from({ length: 4 }, async () => {
      while (!stopped.signal.aborted) {
        await write().catch((error) => failures.push(error));
        writing.written++;
      }
    });
    async function stop(): Promise<readonly unknown[]> {
      stopped.abort();
      await Promise.all(writers);
      return failures;
    }
    return writing;
  }

  beforeAll(async () => {
    cluster = await startCluster(scope);
    await installCustomResources(cluster.client, ["VirtualService"], ["v1"]);
    await cluster.kubectl(["create", "namespace", AT.namespace]);
    old = await createAuthority("old", { days: 60 });
    const stringData = await certificateFor(60);
    const secret = { apiVersion: "v1", kind: "Secret", type: "a.b/c", metadata: AT, stringData };
    await cluster.client.create(SECRETS, secret, AT.namespace);
    webhook = scope.use(
      await startWebhook({
        client: cluster.client,
        host: "127.0.0.1",
        port: 0,
        configuration: "headgate",
        secret: { ...AT, names: ["127.0.0.1"] },
        lookMs: 200,
        settleMs: 3_000,
        onNotice: () => {},
      }),
    );
    const shipped = parse(readFileSync(join("deploy", "kubernetes", "webhook.yaml"), "utf8"));
    const clientConfig = { url: `https://${webhook.address}/validate` };
    const webhooks = [{ ...shipped.webhooks[0], clientConfig, failurePolicy: "Fail" }];
    await cluster.client.apply(
      CONFIGURATIONS,
      { name: "headgate" },
      { ...shipped, webhooks },
      { fieldManager: "test" },
    );
    await eventually("the webhook is asked", async () => (await write()) !== undefined);
  });

  test("is replaced while writes go on, without one that fails", async () => {
    expect(await isOld()).toBe(true);
    const writing = keepWriting();
    try {
      const known = await trusted();
      await cluster.client.merge(SECRETS, AT, { stringData: await certificateFor(29) });
      await eventually("the API server hears of another authority", async () => (await trusted()) !== known);
      expect(await isOld(), "the old certificate is still shown then").toBe(true);
      await eventually("another certificate is shown", async () => !(await isOld()));
      const before = writing.written;
      await eventually("writes go on", () => writing.written > before + 100, 30_000);
    } finally {
      expect(await writing.stop()).toEqual([]);
    }
  });

  test("stays trusted beside the new one, for replicas that still show it", async () => {
    expect(await trusted()).toContain(old.certificate.trim());
  });
});
