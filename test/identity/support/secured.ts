// A real ADS server that knows its clients by certificates and tokens, and clients that show them.
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { createAdmission, type Refused } from "../../../controlplane/identity/admission.js";
import { createAdsSecurity } from "../../../controlplane/identity/ads-security.js";
import { issueTls } from "../../../controlplane/identity/issued-tls.js";
import { SnapshotCache } from "../../../controlplane/xds/cache.js";
import { CLUSTER } from "../../../controlplane/xds/order.js";
import { createAdsServer } from "../../../controlplane/xds/server.js";
import type { Authority, KeyedCertificate } from "../../harness/certificates.js";
import type { Scope } from "../../harness/scope.js";
import { snapshot } from "../../xds/support/resources.js";
import { ScriptedStream } from "../../xds/support/script.js";

export interface SecuredOptions {
  /** Issues the server's certificate; without it ADS is plaintext. */
  readonly server?: Authority;
  /** It issues certificates to the server itself, in place of files: each valid for 29 days, and replaced at once. */
  readonly issues?: boolean;
  /** Whose clients are known. */
  readonly clients?: Authority;
  /** Of whose tokens; the text of a JWKS. */
  readonly keys?: string;
}

export interface ClientOptions {
  /** The authority that the client knows the server by. */
  readonly trusts?: Authority;
  readonly certificate?: KeyedCertificate;
  readonly authorization?: readonly string[];
  readonly id?: string;
  readonly serviceAccount?: string;
  /** More of the node's metadata. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export const NODE_ID = "sidecar~10.0.0.1~reviews-1.bookinfo~bookinfo.svc.cluster.local";

export interface Secured {
  /** host:port */
  readonly address: string;
  readonly cache: SnapshotCache;
  readonly refused: Refused[];
  readonly admitted: string[];
  readonly notices: string[];
  /** Puts other files in place, as cert-manager or kubelet does. */
  replace(files: Partial<Record<"certificate" | "key" | "clientCa" | "keys", string>>): Promise<void>;
  /** A client on a connection of its own that has asked for clusters. */
  open(options?: ClientOptions): ScriptedStream;
}

export async function startSecured(scope: Scope, options: SecuredOptions): Promise<Secured> {
  const directory = await scope.directory();
  const path = (name: string) => join(directory, name);
  const replace: Secured["replace"] = async (files) => {
    for (const [name, content] of Object.entries(files)) {
      await writeFile(path(`${name}.new`), content);
      await rename(path(`${name}.new`), path(name));
    }
  };
  const own = options.issues ? undefined : await options.server?.issue(["localhost"]);
  const issued =
    options.issues && options.server
      ? await issueTls(options.server, { names: ["localhost"], days: 29, lookMs: 50 })
      : undefined;
  await replace({
    ...(own ? { certificate: own.certificate, key: own.privateKey } : {}),
    ...(options.clients ? { clientCa: options.clients.certificate } : {}),
    ...(options.keys ? { keys: options.keys } : {}),
  });
  const notices: string[] = [];
  const security = await createAdsSecurity({
    trustDomain: "cluster.local",
    pollMs: 10,
    onNotice: (notice) => notices.push(notice),
    ...(own
      ? {
          tls: {
            certificate: path("certificate"),
            key: path("key"),
            ...(options.clients ? { clientCa: path("clientCa") } : {}),
          },
        }
      : {}),
    ...(issued ? { issued, ...(options.clients ? { issuedClientCa: path("clientCa") } : {}) } : {}),
    ...(options.keys ? { tokens: { keys: path("keys"), audience: "headgate" } } : {}),
  });
  if ("error" in security) throw new Error(security.error);
  scope.use(security.value);
  const cache = new SnapshotCache();
  const refused: Refused[] = [];
  const admitted: string[] = [];
  const server = scope.use(
    createAdsServer({
      cache,
      ...(security.value.tls ? { tls: security.value.tls } : {}),
      onConnect: createAdmission({
        ways: security.value.ways,
        onRefused: (one) => refused.push(one),
        onAdmitted: async ({ id }) => {
          admitted.push(id);
          cache.set(id, snapshot({ [CLUSTER]: { a: "1" } }));
        },
      }),
    }),
  );
  security.value.onTls((tls) => server.replaceTls(tls));
  const address = await server.listen("127.0.0.1:0");
  return {
    address,
    cache,
    refused,
    admitted,
    notices,
    replace,
    open: (client = {}) => openStream(scope, address, options.server !== undefined, client),
  };
}

function openStream(scope: Scope, address: string, isTls: boolean, options: ClientOptions): ScriptedStream {
  const { trusts, certificate, authorization = [], id = NODE_ID, serviceAccount = "reviews" } = options;
  const pem = (text: string | undefined) => (text === undefined ? null : Buffer.from(text));
  const tls = isTls
    ? credentials.createSsl(pem(trusts?.certificate), pem(certificate?.privateKey), pem(certificate?.certificate))
    : credentials.createInsecure();
  const client = scope.use(
    new Client(address, tls, {
      "grpc.use_local_subchannel_pool": 1,
      ...(isTls ? { "grpc.ssl_target_name_override": "localhost", "grpc.default_authority": "localhost" } : {}),
    }),
  );
  const metadata = new Metadata();
  for (const value of authorization) metadata.add("authorization", value);
  const stream = new ScriptedStream(client, "delta", id, metadata);
  stream.send({
    node: { id, cluster: "test", metadata: { SERVICE_ACCOUNT: serviceAccount, ...options.metadata } },
    typeUrl: CLUSTER,
    resourceNamesSubscribe: [],
  });
  return stream;
}
