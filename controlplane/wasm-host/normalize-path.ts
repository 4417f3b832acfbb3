// A request's path -> the path Envoy's filters see: dot segments resolved, needless escapes and double slashes gone.

/** As Envoy is told: normalize_path, merge_slashes and UNESCAPE_AND_REDIRECT. */
export type NormalizedPath =
  | {
      readonly value: string;
      /** The path had an escaped slash: Envoy sends the client to value with a redirect, and then sees that. */
      readonly redirected: boolean;
    }
  | { readonly error: string };

/** path: with its query, which stays as it is. */
export function normalizePath(path: string): NormalizedPath {
  const end = path.search(/\?/);
  const bare = end < 0 ? path : path.slice(0, end);
  if (!bare.startsWith("/")) return { value: path, redirected: false };
  const unescaped = bare.replace(/%2f/gi, "/").replace(/%5c/gi, "\\");
  const canonical = canonicalize(unescaped);
  if (canonical === undefined) return { error: "Envoy answers 400: the path holds an escaped NUL" };
  return { value: mergeSlashes(canonical) + path.slice(bare.length), redirected: unescaped !== bare };
}

/** Resolves dot segments and brings escapes into one form; undefined for a path that is refused. */
function canonicalize(path: string): string | undefined {
  const segments: string[] = [];
  const parts = path.replaceAll("\\", "/").slice(1).split("/");
  for (const [i, part] of parts.entries()) {
    const last = i === parts.length - 1;
    const dots = part.replace(/%2e/gi, ".");
    if (dots === ".." || dots === ".") {
      if (dots === "..") segments.pop();
      if (last) segments.push("");
      continue;
    }
    const segment = canonicalizeEscapes(part);
    if (segment === undefined) return undefined;
    segments.push(segment);
  }
  return `/${segments.join("/")}`;
}

function canonicalizeEscapes(segment: string): string | undefined {
  if (/%00/.test(segment)) return undefined;
  return segment.replace(/%([0-9A-Fa-f]{2})|[\0-\x20"#<>?^`{|}\x7f]|[^\0-\x7f]/gu, (found, digits?: string) => {
    if (digits === undefined) return encodeURIComponent(found);
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    return /[-.0-9A-Z_a-z~]/.test(character) ? character : found;
  });
}

/** The path ends in a slash if it did; nothing but slashes become two. */
function mergeSlashes(path: string): string {
  if (!path.includes("//")) return path;
  const segments = path.split("/").filter((segment) => segment !== "");
  return `/${segments.join("/")}${path.endsWith("/") ? "/" : ""}`;
}
