// Which of the custom resources a cluster has, and in which version it serves them.
import type { KubeClient } from "../kube/client.js";
import { KubeFault, type KubeType } from "../kube/object.js";
import type { KubernetesKind } from "./kubernetes-kinds.js";

/** Milliseconds for which an answer is taken for true: many ask at once. */
const KEPT_MS = 1_000;

export class Discovery {
  private readonly answers = new Map<string, { readonly at: number; readonly plurals: Promise<ReadonlySet<string>> }>();

  constructor(private readonly client: KubeClient) {}

  /** The type to ask for; undefined where the cluster has no such resource. Rejects where that cannot be told. */
  async find({ group, versions, plural, policy }: KubernetesKind): Promise<KubeType | undefined> {
    const [preferred = ""] = versions;
    if (!policy) return { group, version: preferred, plural };
    for (const version of versions) {
      if ((await this.served(group, version)).has(plural)) return { group, version, plural };
    }
    return undefined;
  }

  private served(group: string, version: string): Promise<ReadonlySet<string>> {
    const path = `/apis/${group}/${version}`;
    const known = this.answers.get(path);
    if (known !== undefined && performance.now() - known.at < KEPT_MS) return known.plurals;
    const plurals = this.ask(path);
    this.answers.set(path, { at: performance.now(), plurals });
    // A question that was not answered is asked again by the next.
    plurals.catch(() => this.answers.delete(path));
    return plurals;
  }

  private async ask(path: string): Promise<ReadonlySet<string>> {
    try {
      const { resources } = (await this.client.read(path)) as { readonly resources?: readonly { name: string }[] };
      return new Set(resources?.map(({ name }) => name));
    } catch (error) {
      if (error instanceof KubeFault && error.status === 404) return new Set();
      throw error;
    }
  }
}
