// The validating webhook as it is run, asked by a real API server: what is refused, and its certificate.
import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { shareCertificate } from "../../controlplane/admission/certificate-secret.js";
import type { Violation } from "../../controlplane/resources/violation.js";
import { createAuthority } from "../harness/certificates.js";
import { testScope } from "../harness/scope.js";
import { type ServeProcess, startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "../kube/support/cluster.js";
import { installCustomResources, POLICY_KINDS } from "../kube/support/custom-resources.js";
import { faultsOfText } from "../resources/corpus.js";

const SECRETS = { group: "", version: "v1", plural: "secrets" };
const SECRET = { namespace: "headgate-system", name: "headgate-webhook" };
const CONFIGURATIONS = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural: "validatingwebhookconfigurations",
};

interface Configuration {
  readonly metadata: { readonly name: string };
  readonly webhooks: readonly [{ readonly clientConfig: object; readonly failurePolicy: string }];
}

/** What is shipped, but that the webhook is reached by address, since there is no network of pods. */
function configurationAt(address: string, failurePolicy: string): Configuration {
  const shipped = parse(readFileSync(join("deploy", "kubernetes", "webhook.yaml"), "utf8")) as Configuration;
  const [webhook] = shipped.webhooks;
  const clientConfig = { url: `https://${address}/validate` };
  return { ...shipped, webhooks: [{ ...webhook, clientConfig, failurePolicy }] };
}

/** The objects of docs/messages that can be written to a cluster, with what `headgate validate` finds in each. */
const EXAMPLES = readdirSync("docs/messages").flatMap((page) => {
  const text = /```yaml\n(.*?)```/s.exec(readFileSync(join("docs/messages", page), "utf8"))?.[1] ?? "";
  return text.split(/^---$/m).flatMap((document) => {
    const faults = faultsOfText(document, page);
    if (faults.some(({ code }) => /^(yaml-|not-an-object|unknown-kind)/.test(code))) return [];
    const isPolicy = POLICY_KINDS.some((kind) => document.includes(`kind: ${kind}\n`));
    return isPolicy ? [{ page, document, faults }] : [];
  });
});

const isError = ({ severity }: Violation) => severity === "error";
const lineOf = ({ code, path, message }: Violation) => `[${code}]${path ? ` ${path}` : ""}: ${message}`;

describe.skipIf("error" in kubeBinaries)("headgate serve --webhook", () => {
  const scope = testScope();
  let cluster: Cluster;
  let replica: ServeProcess;

  const serve = () => {
    const addresses = ["--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--webhook", "127.0.0.1:0"];
    const args = ["--kube", "--kubeconfig", cluster.kubeconfig, ...addresses, "--webhook-name", "127.0.0.1"];
    return startServe(scope, args);
  };
  const configure = (address: string, failurePolicy = "Fail") => {
    const configuration = configurationAt(address, failurePolicy);
    return cluster.client.apply(CONFIGURATIONS, configuration.metadata, configuration, { fieldManager: "test" });
  };
  const write = (yaml: string) => cluster.kubectl(["apply", "--dry-run=server", "-f", "-"], yaml);
  const refusal = (yaml: string) =>
    write(yaml).then(
      () => "",
      (error: Error) => error.message,
    );
  const dataOfSecret = async () => {
    const data = (await cluster.client.get(SECRETS, SECRET))?.data as Readonly<Record<string, string>>;
    const text = (key: string) => Buffer.from(data[key] ?? "", "base64").toString();
    return { certificate: text("tls.crt"), authorities: text("ca.crt") };
  };

  beforeAll(async () => {
    cluster = await startCluster(scope);
    await installCustomResources(cluster.client);
    await cluster.kubectl(["create", "namespace", SECRET.namespace]);
    await cluster.kubectl(["create", "-f", "-"], OLD);
    replica = await serve();
    await configure(replica.webhook as string);
    await eventually("the webhook is asked", async () => (await refusal(BAD)).includes("denied the request"));
  });

  test("refuses what `headgate validate` refuses, with the same words, and lets the rest through", async () => {
    expect(EXAMPLES.filter(({ faults }) => faults.some(isError)).length).toBeGreaterThan(10);
    for (const { page, document, faults } of EXAMPLES) {
      const message = await refusal(document);
      const told = message
        .split("\n")
        .filter((line) => line.includes("["))
        .map((line) => line.replace(/^.*?denied the request: /, ""));
      expect(told.sort(), page).toEqual(faults.filter(isError).map(lineOf).sort());
    }
  });

  test("passes warnings on to whoever writes", async () => {
    const written = cluster.kubectl(["apply", "--dry-run=server", "--warnings-as-errors", "-f", "-"], DEPRECATED);
    await expect(written).rejects.toThrow(
      "Warning: [deprecated-field] spec.http[0].mirrorPercent: This field is deprecated",
    );
  });

  test("lets a faulty object that is there already be removed", async () => {
    await cluster.kubectl(["delete", "virtualservice", "old", "--wait=false"]);
    expect(await cluster.kubectl(["get", "virtualservice", "old", "-o", "name"])).toContain("old");
    const finish = JSON.stringify({ metadata: { finalizers: null } });
    await cluster.kubectl(["patch", "virtualservice", "old", "--type=merge", "-p", finish]);
    await expect(cluster.kubectl(["get", "virtualservice", "old"])).rejects.toThrow("not found");
  });

  test("looks at no namespace of the system", async () => {
    expect(await cluster.kubectl(["create", "-n", "kube-system", "-f", "-"], BAD)).toContain("created");
  });

  test("has one certificate for all replicas, and any of them answers", async () => {
    const before = await dataOfSecret();
    const other = await serve();
    await configure(other.webhook as string);
    await eventually("the other is asked", async () => (await refusal(BAD)).includes("denied the request"));
    expect(await dataOfSecret()).toEqual(before);
    await configure(replica.webhook as string);
  });

  test("renews a certificate well before it expires, and goes on being trusted with the one before", async () => {
    const client = cluster.client;
    const at = { namespace: "default", name: "renewed" };
    const old = await createAuthority("old");
    const soon = await old.issue(["127.0.0.1"], { days: 29 });
    const stringData = { "tls.crt": soon.certificate, "tls.key": soon.privateKey, "ca.crt": old.certificate };
    const secret = { apiVersion: "v1", kind: "Secret", type: "a.b/c", metadata: { name: at.name }, stringData };
    await client.create(SECRETS, secret, at.namespace);
    const share = () => shareCertificate({ client, ...at, names: ["127.0.0.1"] });

    const [first, second] = await Promise.all([share(), share()]);

    expect(second).toEqual(first);
    const renewed = new X509Certificate(first.certificate);
    expect(Date.parse(renewed.validTo) - Date.now()).toBeGreaterThan(80 * 86_400_000);
    expect(first.authorities).toContain(old.certificate.trim());
    expect(await share()).toEqual(first);
    const named = await shareCertificate({ client, ...at, names: ["127.0.0.1", "headgate.test.svc"] });
    expect(new X509Certificate(named.certificate).checkHost("headgate.test.svc")).toBeDefined();
  });

  test("takes no body without end, and serves nothing else", async () => {
    const { authorities } = await dataOfSecret();
    const ask = (path: string, method: string, body: string) =>
      new Promise<number | undefined>((done, failed) => {
        const url = `https://${replica.webhook}${path}`;
        const sent = request(url, { method, ca: authorities }, (response) => done(response.resume().statusCode));
        sent.on("error", failed);
        sent.end(body);
      });
    expect(await ask("/validate", "POST", "{}")).toBe(400);
    expect(await ask("/validate", "GET", "")).toBe(404);
    expect(await ask("/", "POST", "{}")).toBe(404);
    expect(await ask("/validate", "POST", "x".repeat(8 * 1_048_576 + 1)).catch(() => 413)).toBe(413);
    expect(await ask("/validate", "POST", "{}")).toBe(400);
  });

  test("locks nobody out when it is gone: as it is shipped, policies are then taken unchecked", async () => {
    const shipped = parse(readFileSync(join("deploy", "kubernetes", "webhook.yaml"), "utf8")) as Configuration;
    expect(shipped.webhooks[0].failurePolicy).toBe("Ignore");
    await configure(replica.webhook as string, "Ignore");
    await replica.kill();
    await eventually("a faulty policy is taken", async () => (await refusal(BAD)) === "");
  });
});

const BAD = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bad}
spec: {hosts: [a], http: [{timeout: "10", route: [{destination: {host: a}}]}]}
`;

const DEPRECATED = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: deprecated}
spec: {hosts: [a], http: [{route: [{destination: {host: a}}], mirror: {host: b}, mirrorPercent: 10}]}
`;

/** Was there before the webhook, and something waits for its end. */
const OLD = BAD.replace("name: bad", "name: old, finalizers: [headgate.dev/test]");
