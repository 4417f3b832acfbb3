// Says, for people, which condition a request does not meet and what it has instead.
import type { Condition } from "../policy/clauses.js";
import type { StringMatch } from "../resources/virtual-service.js";

/** For example: headers.end-user must be exactly "jason"; the request has "anna". headers: as Envoy's filters see them. */
export function describeUnmet({ source, negated }: Condition, headers: readonly (readonly [string, string])[]): string {
  const value = valueOf(source.field, headers);
  const has = value === undefined ? "the request has none" : `the request has ${JSON.stringify(value)}`;
  return `${source.field} must ${negated ? "not " : ""}${demand(source.match)}; ${has}`;
}

function demand(match: StringMatch): string {
  switch (match.type) {
    case "exact":
      return `be exactly ${JSON.stringify(match.value)}`;
    case "prefix":
      return `begin with ${JSON.stringify(match.value)}`;
    case "regex":
      return `match ${JSON.stringify(match.value)}`;
    case "present":
      return "be there";
  }
}

const PSEUDO_HEADERS: Readonly<Record<string, string>> = {
  scheme: ":scheme",
  method: ":method",
  authority: ":authority",
};

function valueOf(field: string, headers: readonly (readonly [string, string])[]): string | undefined {
  const path = headers.find(([name]) => name === ":path")?.[1] ?? "";
  if (field === "uri") return path.replace(/[?#].*$/s, "");
  const [kind, name] = split(field);
  if (kind === "queryParams") return queryParameter(path, name);
  const wanted = PSEUDO_HEADERS[field] ?? name.toLowerCase();
  const values = headers.filter(([other]) => other === wanted).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(", ");
}

function split(field: string): [kind: string, name: string] {
  const dot = field.indexOf(".");
  return dot < 0 ? [field, ""] : [field.slice(0, dot), field.slice(dot + 1)];
}

/** As the filter reads it: the first of that name, nothing decoded. */
function queryParameter(path: string, name: string): string | undefined {
  for (const parameter of path.replace(/^[^?]*\??/s, "").split("&")) {
    const [key = "", ...value] = parameter.split("=");
    if (key === name) return value.join("=");
  }
  return undefined;
}
