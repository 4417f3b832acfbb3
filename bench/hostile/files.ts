// Files that cost more to read than they look like.

const HEAD =
  "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a]\n  http:\n";

/** Name -> text. */
export function hostileFiles(): readonly (readonly [string, string])[] {
  return [
    ["alias-bomb", aliasBomb(12)],
    ["one-large-virtual-service", HEAD + rules(10_000, (index) => `{prefix: /${"x".repeat(20)}${index}}`)],
    ["hostile-expressions", HEAD + rules(10_000, (index) => `{regex: "${index}(a|b)*a(a|b){12}"}`)],
    ["costly-expressions", HEAD + rules(10_000, (index) => `{regex: ".*${index}(a|b)*a(a|b){8}"}`)],
    ["many-faults", HEAD + rules(10_000, () => `{regex: "("}`)],
    ["nested-collections", "[".repeat(1_000_000)],
    ["nested-mappings", Array.from({ length: 2_000 }, (_, depth) => `${" ".repeat(depth)}a:\n`).join("")],
    ["many-documents", "---\nkind: a\n".repeat(19_000)],
    ["many-keys", Array.from({ length: 200_000 }, (_, index) => `k${index}: 1\n`).join("")],
    ["many-objects", Array.from({ length: 5_000 }, (_, index) => entry(index)).join("---\n")],
  ];
}

function aliasBomb(levels: number): string {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"];
  for (let level = 1; level < levels; level++) {
    lines.push(
      `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(", ")}]\n`,
    );
  }
  return lines.join("");
}

function rules(count: number, uri: (index: number) => string): string {
  const rule = (index: number) =>
    `  - match: [{uri: ${uri(index)}}]\n    route: [{destination: {host: b, subset: v1}}]\n`;
  return Array.from({ length: count }, (_, index) => rule(index)).join("");
}

function entry(index: number): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: e${index}}
spec:
  hosts: [e${index}.example.com]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1}]
`;
}
