// What the admin tells of one proxy's configuration: how much there is of each type, and, a page at a time, the resources.

import type { Snapshot, TypeUrl } from "../xds/snapshot.js";
import type { Standing } from "../xds/standing.js";
import { versionOf } from "../xds/version.js";
import { QuestionFault } from "./question-fault.js";
import { viewResource } from "./resource-view.js";
import { shortType } from "./type-names.js";

export interface ConfigSources {
  /** What a proxy should have; undefined for one that is not connected. */
  readonly snapshot: (proxy: string) => Snapshot | undefined;
  readonly standing: (proxy: string, typeUrl: TypeUrl, name: string, version: string) => Standing | undefined;
}

export interface ConfigType {
  readonly typeUrl: TypeUrl;
  readonly type: string;
  readonly resources: number;
  /** Equal for equal names and versions. */
  readonly version: string;
}

export interface ConfigResource {
  readonly name: string;
  readonly version: string;
  readonly standing: Standing;
  /** Absent where only versions were asked for. */
  readonly resource?: unknown;
}

export interface ConfigPage {
  readonly resources: readonly ConfigResource[];
  /** What to ask for as `after` to get the next page; null at the end. */
  readonly next: string | null;
}

export interface PageRequest {
  /** A part of the name; every resource without it. */
  readonly contains?: string;
  /** The whole name. */
  readonly name?: string;
  /** The `next` of the page before. */
  readonly after?: string;
  /** Names, versions and standings alone. */
  readonly versionsOnly: boolean;
}

/** A page ends with the resource that makes it longer than this. Characters of JSON. */
const PAGE_LENGTH = 256 * 1024;

export function configTypes(snapshot: Snapshot): ConfigType[] {
  return [...snapshot.resources].map(([typeUrl, resources]) => ({
    typeUrl,
    type: shortType(typeUrl),
    resources: resources.size,
    version: versionOf(resources),
  }));
}

/** In the snapshot's order. Throws a QuestionFault when what to go on from is gone. A page is encoded when it is asked for, and nothing of it is kept. */
export function configPage(sources: ConfigSources, proxy: string, typeUrl: TypeUrl, request: PageRequest): ConfigPage {
  const resources = sources.snapshot(proxy)?.resources.get(typeUrl);
  if (request.after !== undefined && !resources?.has(request.after)) {
    throw new QuestionFault(400, "the configuration has changed, and the place to go on from is gone: begin again");
  }
  const page: ConfigResource[] = [];
  let length = 0;
  let isPast = request.after === undefined;
  for (const [name, resource] of resources ?? []) {
    if (!isPast) {
      isPast = name === request.after;
      continue;
    }
    if (request.name !== undefined && name !== request.name) continue;
    if (request.contains !== undefined && !name.includes(request.contains)) continue;
    if (length > PAGE_LENGTH) return { resources: page, next: page.at(-1)?.name ?? null };
    const { version } = resource;
    const view = request.versionsOnly ? undefined : viewResource(resource);
    const standing = sources.standing(proxy, typeUrl, name, version) ?? "unwanted";
    page.push({ name, version, standing, ...(view === undefined ? {} : { resource: view }) });
    length += name.length + version.length + (view === undefined ? 50 : JSON.stringify(view).length);
  }
  return { resources: page, next: null };
}
