// What differs between two sides, for each proxy and resource; proxies that would see the same are told together.
import { shortType, TYPE_URLS } from "../../admin/type-names.js";
import type { Proxy } from "../../proxy/proxy.js";
import type { TypeUrl } from "../../xds/snapshot.js";
import { mayDiffer } from "./extensions.js";
import type { Side } from "./sides.js";

export interface Change {
  readonly typeUrl: TypeUrl;
  /** As in "Cluster". */
  readonly type: string;
  readonly name: string;
  readonly change: "added" | "modified" | "removed";
  /** For whom, by what is alike on both sides. Never empty. */
  readonly proxies: readonly [Proxy, ...Proxy[]];
}

export interface ShownChange extends Change {
  /** Decoded; undefined on the side that does not have it. */
  readonly before: unknown;
  readonly after: unknown;
}

/** By type and name. Filters' code is left out, since no object has it. */
export async function compare(before: Side, after: Side, proxies: readonly Proxy[]): Promise<Change[]> {
  const groups = new Map<string, { change: Omit<Change, "proxies">; proxies: [Proxy, ...Proxy[]] }>();
  for (const proxy of proxies) {
    for (const typeUrl of await differingTypes(before, after, proxy)) {
      const [old, now] = await Promise.all([before.versions(proxy, typeUrl), after.versions(proxy, typeUrl)]);
      for (const name of new Set([...old.keys(), ...now.keys()])) {
        const [was, is] = [old.get(name), now.get(name)];
        if (was === is || !mayDiffer(was, is)) continue;
        const key = JSON.stringify([typeUrl, name, was, is]);
        const group = groups.get(key);
        if (group) group.proxies.push(proxy);
        else {
          const change = was === undefined ? "added" : is === undefined ? "removed" : "modified";
          groups.set(key, { change: { typeUrl, type: shortType(typeUrl), name, change }, proxies: [proxy] });
        }
      }
    }
  }
  return [...groups.values()].map(({ change, proxies: whom }) => ({ ...change, proxies: whom })).sort(inOrder);
}

/** With both sides' content. */
export async function show(change: Change, before: Side, after: Side): Promise<ShownChange> {
  const { typeUrl, name } = change;
  const [proxy] = change.proxies;
  const side = async (which: Side, absent: Change["change"]) =>
    change.change === absent ? undefined : which.view(proxy, typeUrl, name);
  const [was, is] = await Promise.all([side(before, "added"), side(after, "removed")]);
  return { ...change, before: was, after: is };
}

async function differingTypes(before: Side, after: Side, proxy: Proxy): Promise<TypeUrl[]> {
  const [old, now] = await Promise.all([before.types(proxy), after.types(proxy)]);
  const types = new Set([...old.keys(), ...now.keys()]);
  return [...types].filter((type) => old.get(type) !== now.get(type));
}

const places = new Map([...TYPE_URLS.values()].map((typeUrl, index) => [typeUrl, index]));

function inOrder(a: Change, b: Change): number {
  const byType = (places.get(a.typeUrl) ?? places.size) - (places.get(b.typeUrl) ?? places.size);
  return byType !== 0 ? byType : a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
