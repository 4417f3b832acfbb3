// Every path of the admin, and what it answers with.
import type { Proxy } from "../proxy/proxy.js";
import type { Publisher } from "../publish/publisher.js";
import type { Revisions } from "../publish/revisions.js";
import type { Violation } from "../resources/violation.js";
import type { ProxyStatus } from "../xds/status.js";
import { type ConfigSources, configPage, configTypes } from "./config.js";
import { meshView } from "./mesh-view.js";
import type { Metrics } from "./metrics.js";
import { proxyViews } from "./proxies.js";
import { QuestionFault } from "./question-fault.js";
import { findTypeUrl } from "./type-names.js";

/** What a path answers with: JSON, unless it is a TextAnswer. */
export type Answer = (query: URLSearchParams) => unknown;

export class TextAnswer {
  constructor(
    readonly text: string,
    readonly contentType: string,
  ) {}
}

/** What translation depends on besides objects and proxies, so that others can do the same. */
export interface TranslationSettings {
  readonly defaultNamespace: string;
  readonly rootNamespace: string;
  readonly accessLog?: string;
}

/** What `/translation` answers with. */
export interface TranslationView {
  readonly settings: TranslationSettings;
  /** Those that are connected. */
  readonly proxies: readonly Proxy[];
}

export interface AnswerSources {
  readonly publisher: Pick<Publisher, "mesh" | "proxies">;
  readonly revisions: Revisions;
  readonly violations: () => readonly Violation[];
  readonly statuses: () => readonly ProxyStatus[];
  /** See FilterView of the rollouts; absent without a registry of filters. */
  readonly filters?: () => object;
  readonly config?: ConfigSources;
  readonly metrics?: Pick<Metrics, "render">;
  readonly settings?: TranslationSettings;
}

const MAX_WAIT_SECONDS = 60;

export function adminAnswers(sources: AnswerSources): ReadonlyMap<string, Answer> {
  const { publisher, revisions, filters, config, settings, metrics } = sources;
  return new Map<string, Answer>([
    ["/healthz", () => ({ status: "ok" })],
    ["/mesh", () => meshView(publisher.mesh)],
    ["/violations", () => ({ violations: sources.violations() })],
    [
      "/proxies",
      () => ({ revision: revisions.revision, proxies: proxyViews(sources.statuses(), publisher, revisions) }),
    ],
    ["/events", async (query) => ({ events: await events(revisions, query) })],
    ...(filters ? [["/filters", () => filters()] as const] : []),
    ...(config ? [["/config", (query: URLSearchParams) => configAnswer(config, query)] as const] : []),
    ...(settings
      ? [["/translation", (): TranslationView => ({ settings, proxies: [...publisher.proxies.values()] })] as const]
      : []),
    ...(metrics ? [["/metrics", () => metricsAnswer(metrics)] as const] : []),
  ]);
}

function events(revisions: Revisions, query: URLSearchParams) {
  const after = Math.max(0, Number(query.get("after")) || 0);
  const wait = Math.min(MAX_WAIT_SECONDS, Math.max(0, Number(query.get("wait")) || 0));
  return revisions.eventsAfter(after, wait * 1000);
}

async function metricsAnswer(metrics: Pick<Metrics, "render">): Promise<TextAnswer> {
  const { text, contentType } = await metrics.render();
  return new TextAnswer(text, contentType);
}

/** ?proxy=ID for its types; with &type=TYPE for resources, narrowed by &name= or &contains=, &versions for no bodies. */
function configAnswer(sources: ConfigSources, query: URLSearchParams): unknown {
  const proxy = query.get("proxy") ?? "";
  const snapshot = sources.snapshot(proxy);
  if (!snapshot) throw new QuestionFault(404, "no such proxy is connected: give ?proxy=ID, with an id of /proxies");
  const type = query.get("type");
  if (type === null) return { types: configTypes(snapshot) };
  const typeUrl = findTypeUrl(type);
  if (!typeUrl) throw new QuestionFault(400, "there is no such type: give cds, eds, lds, rds, vhds, sds or ecds");
  const given = (name: "contains" | "name" | "after") => {
    const value = query.get(name);
    return value === null ? {} : { [name]: value };
  };
  return configPage(sources, proxy, typeUrl, {
    ...given("contains"),
    ...given("name"),
    ...given("after"),
    versionsOnly: query.has("versions"),
  });
}
