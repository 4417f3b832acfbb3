// The proxy that people mean by a part of its id.

/** What is known of a proxy that a control plane serves, or served. */
export interface Findable {
  readonly id: string;
  readonly name?: string;
  readonly namespace?: string;
}

/** Takes a node id, "name.namespace" or a name. The error says what there is. */
export function findProxy<P extends Findable>(
  proxies: readonly P[],
  wanted: string,
): { readonly value: P } | { readonly error: string } {
  const ways: readonly ((proxy: P) => boolean)[] = [
    ({ id }) => id === wanted,
    ({ name, namespace }) => `${name}.${namespace}` === wanted,
    ({ name }) => name === wanted,
  ];
  for (const matches of ways) {
    const [found, ...others] = proxies.filter(matches);
    if (found && others.length === 0) return { value: found };
    if (found) return { error: `"${wanted}" means ${list([found, ...others])}: give the whole id of one` };
  }
  if (proxies.length === 0) return { error: `"${wanted}" is not connected, and no other proxy is` };
  return { error: `"${wanted}" is not connected; there are ${list(proxies)}` };
}

const MOST_LISTED = 10;

function list(proxies: readonly Findable[]): string {
  const ids = proxies.slice(0, MOST_LISTED).map(({ id }) => id);
  const more = proxies.length - ids.length;
  return `${ids.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
