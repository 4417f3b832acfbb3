// Rules that no request reaches, because earlier ones take all that they match.
import type { Violation } from "../../resources/violation.js";
import { violationAt } from "../../resources/violation-at.js";
import type { HttpMatch, StringMatch, VirtualService } from "../../resources/virtual-service.js";
import { ruleOrigin } from "../delegates.js";

/**
 * Finds what can be seen without comparing expressions: rules behind one that matches everything, and rules of which
 * each alternative is an earlier rule's too, or has a path that an earlier rule takes by its beginning. In time linear
 * in the rules.
 */
export function unreachableRules(virtualService: VirtualService): Violation[] {
  const taken = new Taken();
  return virtualService.spec.http.flatMap((rule, at) => {
    const earlier = taken.whoTakes(rule.match);
    for (const match of rule.match.length > 0 ? rule.match : [undefined]) taken.add(match, at);
    if (earlier === undefined) return [];
    const { owner, index } = ruleOrigin(virtualService, at);
    const winner = ruleOrigin(virtualService, earlier);
    const whose = winner.owner === owner ? "" : ` of ${winner.owner.meta.namespace}/${winner.owner.meta.name}`;
    const message = `http[${winner.index}]${whose} already takes every request that this rule matches, so it is never reached: move it before that one, or remove it.`;
    return [violationAt(owner, "unreachable-rule", "warning", ["spec", "http", index], message)];
  });
}

/** What the rules so far take. A condition's key is the text of all that it asks besides the path. */
class Taken {
  /** By the key with the path: the first rule that has the condition. */
  readonly #whole = new Map<string, number>();
  /** By the key without the path: the beginnings of paths, with their rule. */
  readonly #prefixes = new Map<string, Map<string, number>>();
  /** The lengths of these beginnings. */
  readonly #lengths = new Map<string, Set<number>>();

  add(match: HttpMatch | undefined, rule: number): void {
    const [key, uri] = match ? [keyOf(match), match.uri] : [keyOf(EVERYTHING), undefined];
    const whole = `${key} ${textOf(uri)}`;
    if (!this.#whole.has(whole)) this.#whole.set(whole, rule);
    if (uri !== undefined && uri.type !== "prefix") return;
    // Every path that a service is asked for begins so.
    const prefix = uri === undefined || uri.value === "/" ? "" : uri.value;
    const prefixes = this.#prefixes.get(key) ?? new Map<string, number>();
    if (!prefixes.has(prefix)) prefixes.set(prefix, rule);
    this.#prefixes.set(key, prefixes);
    this.#lengths.set(key, (this.#lengths.get(key) ?? new Set()).add(prefix.length));
  }

  /** The first rule by which all alternatives are taken, if they are. */
  whoTakes(alternatives: readonly HttpMatch[]): number | undefined {
    const all = alternatives.length > 0 ? alternatives : [EVERYTHING];
    const takers = all.map((match) => this.#whoTakes(match));
    return takers.includes(undefined) ? undefined : Math.max(...(takers as number[]));
  }

  #whoTakes(match: HttpMatch): number | undefined {
    const key = keyOf(match);
    const found = [
      this.#whole.get(`${key} ${textOf(match.uri)}`),
      this.#byPrefix(key, match.uri),
      this.#byPrefix(keyOf({ ...EVERYTHING, ignoreUriCase: match.ignoreUriCase }), match.uri),
      // What asks for nothing takes a path in any case.
      this.#prefixes.get(keyOf(EVERYTHING))?.get(""),
    ].filter((rule) => rule !== undefined);
    return found.length === 0 ? undefined : Math.min(...found);
  }

  #byPrefix(key: string, uri: StringMatch | undefined): number | undefined {
    const path = uri && "value" in uri && uri.type !== "regex" ? uri.value : "";
    const prefixes = this.#prefixes.get(key);
    const found = [...(this.#lengths.get(key) ?? [])]
      .filter((length) => length <= path.length)
      .map((length) => prefixes?.get(path.slice(0, length)))
      .filter((rule) => rule !== undefined);
    return found.length === 0 ? undefined : Math.min(...found);
  }
}

const EVERYTHING: HttpMatch = {
  ignoreUriCase: false,
  headers: new Map(),
  withoutHeaders: new Map(),
  queryParams: new Map(),
  sourceLabels: {},
  gateways: [],
};

/** All that a condition asks besides the path; whether the path's case counts is part of it. */
function keyOf({ name: _, statPrefix: __, uri: ___, ...asked }: HttpMatch): string {
  const sorted = (map: ReadonlyMap<string, StringMatch>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify({
    scheme: asked.scheme,
    method: asked.method,
    authority: asked.authority,
    port: asked.port,
    sourceNamespace: asked.sourceNamespace,
    ignoreUriCase: asked.ignoreUriCase,
    headers: sorted(asked.headers),
    withoutHeaders: sorted(asked.withoutHeaders),
    queryParams: sorted(asked.queryParams),
    sourceLabels: Object.entries(asked.sourceLabels).sort(([a], [b]) => (a < b ? -1 : 1)),
    gateways: [...asked.gateways].sort(),
  });
}

function textOf(uri: StringMatch | undefined): string {
  return uri === undefined ? "" : JSON.stringify(uri);
}
