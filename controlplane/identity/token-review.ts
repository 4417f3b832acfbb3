// A bearer token -> the identity and the pod that it carries, by asking the cluster's API server.
import { createHash } from "node:crypto";
import type { KubeClient } from "../kube/client.js";
import type { ProvenPod } from "./proven-pod.js";
import { identityOf } from "./spiffe.js";
import { MAX_TOKEN_LENGTH, type TokenVerifier } from "./token.js";

export interface TokenReviewOptions {
  readonly client: KubeClient;
  /** Whom tokens must be meant for. */
  readonly audience: string;
  /** Milliseconds for which an answer counts. */
  readonly keepMs?: number;
}

type Outcome = Awaited<ReturnType<TokenVerifier>>;

interface Kept {
  until: number;
  readonly outcome: Promise<Outcome>;
}

const REVIEWS = { group: "authentication.k8s.io", version: "v1", plural: "tokenreviews" };
const PODS = { group: "", version: "v1", plural: "pods" };
const KEEP_MS = 60_000;
/** For refusals, and for a pod whose address the cluster does not tell yet. */
const KEEP_DOUBTFUL_MS = 1_000;
const MOST_KEPT = 4_096;
/** Questions that are under way; whoever knocks with made-up tokens must not flood the API server. */
const MOST_ASKED = 64;
const USER = /^system:serviceaccount:([^:]+):([^:]+)$/;

/**
 * Tokens must be bound to a pod that is there, as those are that a kubelet projects. What the API server said is kept for a
 * while, so a token that is revoked, and a pod's labels, count that much longer; what it could not say counts for a second.
 */
export function createTokenReview({ client, audience, keepMs = KEEP_MS }: TokenReviewOptions): TokenVerifier {
  const kept = new Map<string, Kept>();
  let asked = 0;

  async function ask(token: string): Promise<Outcome> {
    asked++;
    try {
      return await review(client, audience, token);
    } catch (error) {
      return { error: `the cluster cannot be asked about the token: ${(error as Error).message}` };
    } finally {
      asked--;
    }
  }

  return async (token) => {
    if (token.length > MAX_TOKEN_LENGTH) return { error: `the token is longer than ${MAX_TOKEN_LENGTH} characters` };
    const key = createHash("sha256").update(token).digest("base64");
    const known = kept.get(key);
    if (known !== undefined && known.until > performance.now()) return known.outcome;
    if (asked >= MOST_ASKED) return { error: "too many tokens are being asked about" };
    const entry: Kept = { until: Number.POSITIVE_INFINITY, outcome: ask(token) };
    kept.delete(key);
    kept.set(key, entry);
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value as string);
    const outcome = await entry.outcome;
    const isClear = "identity" in outcome && outcome.pod?.addresses.length !== 0;
    entry.until = performance.now() + (isClear ? keepMs : Math.min(keepMs, KEEP_DOUBTFUL_MS));
    return outcome;
  };
}

async function review(client: KubeClient, audience: string, token: string): Promise<Outcome> {
  const question = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenReview",
    spec: { token, audiences: [audience] },
  };
  const answer = await client.create(REVIEWS, question);
  const { authenticated, audiences, user } = (answer.status ?? {}) as {
    readonly authenticated?: boolean;
    readonly audiences?: readonly string[];
    readonly user?: { readonly username?: string; readonly extra?: Readonly<Record<string, readonly string[]>> };
  };
  if (!authenticated) return { error: "the cluster does not know the token, or it is for somebody else" };
  // An API server that knows no audiences would let any token pass.
  if (!audiences?.includes(audience)) return { error: `the token is not meant for ${audience}` };
  const [, namespace = "", account = ""] = USER.exec(user?.username ?? "") ?? [];
  const identity = identityOf(namespace, account);
  if (!identity) return { error: "the token is no service account's" };
  const extra = (name: string) => user?.extra?.[`authentication.kubernetes.io/${name}`]?.[0];
  const [name, uid] = [extra("pod-name"), extra("pod-uid")];
  if (name === undefined || uid === undefined) return { error: "the token is bound to no pod" };
  const pod = await findPod(client, namespace, name, uid);
  return pod ? { identity, pod } : { error: "the pod of the token is gone" };
}

async function findPod(
  client: KubeClient,
  namespace: string,
  name: string,
  uid: string,
): Promise<ProvenPod | undefined> {
  const found = await client.get(PODS, { namespace, name });
  if (found === undefined || found.metadata.uid !== uid) return undefined;
  const { podIPs = [] } = (found.status ?? {}) as { readonly podIPs?: readonly { readonly ip: string }[] };
  return Object.freeze({
    name,
    labels: Object.freeze({ ...found.metadata.labels }),
    addresses: Object.freeze(podIPs.map(({ ip }) => ip)),
  });
}
