// Images that are whole and sealed, but whose records lead out of the image or round in circles.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { TrafficFilter } from "../../controlplane/wasm-host/traffic-filter.js";
import * as tags from "../../filters/policy/tags.js";
import { identityOf, seal } from "./image-seal.js";
import { compile, exact, MODULE, match, prefix, regex, rule } from "./traffic-envoy.js";

const filter = new TrafficFilter(readFileSync(MODULE));
const many = Array.from({ length: 40 }, (_, i) =>
  rule(`t${i}`, match({ uri: prefix(`/t/${i % 7}/`), headers: new Map([["x-tenant", exact(`${i % 6}`)]]) })),
);
const compiled = compile([
  rule("a", match({ uri: prefix("/ab"), method: exact("GET"), queryParams: new Map([["q", exact("1")]]) })),
  rule("b", match({ uri: prefix("/a"), headers: new Map([["x-b", regex("b.*[xy]")]]) })),
  ...many,
  {
    matches: [],
    destinations: [
      { route: "v1", weight: 1 },
      { route: "v2", weight: 1 },
    ],
    fault: { abort: { httpStatus: 500, percentage: 0 } },
    rollout: {
      sticky: { key: { type: "cookie", name: "user" }, salt: "s" },
      ramp: [
        { at: 1_000, weights: [1, 1] },
        { at: 2_000, weights: [0, 1] },
      ],
      override: { header: "x-pin", values: new Map([["v2", 1]]) },
    },
  },
]);
const original = new DataView(compiled.image.buffer, compiled.image.byteOffset, compiled.image.byteLength);

function directory(section: number): { readonly at: number; readonly offset: number; readonly count: number } {
  const at = tags.HEADER_DIRECTORY + 8 * section;
  return { at, offset: original.getUint32(at, true), count: original.getUint32(at + 4, true) };
}

/** Whether the filter takes the image once 32 bits of it are these. */
function isTaken(at: number, value: number): boolean {
  const image = Uint8Array.from(compiled.image);
  new DataView(image.buffer).setUint32(at, value >>> 0, true);
  seal(image, randomBytes(tags.IDENTITY_LENGTH));
  const refused = () => filter.counters.get("headgate.images_refused") ?? 0;
  const before = refused();
  filter.decide({ ...compiled, image, hash: identityOf(image) }, [[":path", "/"]], { now: 0, random: 1n });
  return refused() === before;
}

/** Where a field of a section's record is. */
function place(section: number, stride: number, field: number, index = 0): number {
  const { offset, count } = directory(section);
  expect(count, `records of section ${section}`).toBeGreaterThan(index);
  return offset + index * stride + field;
}

test("An image that nothing was done to but a seal is taken", () => {
  const { offset } = directory(tags.SECTION_BYTES);
  expect(isTaken(offset, original.getUint32(offset, true))).toBe(true);
});

test.each<[string, number, number, number, number]>([
  ["a name's slot", tags.SECTION_NAMES, tags.NAME_STRIDE, 0, tags.SECTION_SLOTS],
  ["an exact value's key", tags.SECTION_EXACTS, tags.EXACT_STRIDE, tags.EXACT_KEY, tags.SECTION_KEYS],
  ["a slot's root", tags.SECTION_SLOTS, tags.SLOT_STRIDE, tags.SLOT_ROOT, tags.SECTION_NODES],
  ["a slot's own key", tags.SECTION_SLOTS, tags.SLOT_STRIDE, tags.SLOT_PRESENT_KEY, tags.SECTION_KEYS],
  ["a slot's name", tags.SECTION_SLOTS, tags.SLOT_STRIDE, tags.SLOT_NAME_LENGTH, tags.SECTION_BYTES],
  ["a node's key", tags.SECTION_NODES, tags.NODE_STRIDE, tags.NODE_KEY, tags.SECTION_KEYS],
  ["a node's edges", tags.SECTION_NODES, tags.NODE_STRIDE, tags.NODE_EDGES, tags.SECTION_EDGES],
  ["an edge's node", tags.SECTION_EDGES, tags.EDGE_STRIDE, tags.EDGE_NODE, tags.SECTION_NODES],
  ["a candidate", tags.SECTION_CANDIDATES, tags.CANDIDATE_STRIDE, 0, tags.SECTION_CLAUSES],
  ["a table's slot", tags.SECTION_TABLES, tags.TABLE_STRIDE, tags.TABLE_EXACT_SLOTS, tags.SECTION_SLOTS],
  ["a table's slot of prefixes", tags.SECTION_TABLES, tags.TABLE_STRIDE, tags.TABLE_PREFIX_SLOT, tags.SECTION_SLOTS],
  ["a clause's rule", tags.SECTION_CLAUSES, tags.CLAUSE_STRIDE, tags.CLAUSE_RULE, tags.SECTION_RULES],
  ["a condition's slot", tags.SECTION_CONDITIONS, tags.CONDITION_STRIDE, tags.CONDITION_SLOT, tags.SECTION_SLOTS],
  ["a regex's automaton", tags.SECTION_REGEXES, tags.REGEX_STRIDE, tags.REGEX_DFA, tags.SECTION_DFAS],
  ["a rule's fault", tags.SECTION_RULES, tags.RULE_STRIDE, tags.RULE_FAULT, tags.SECTION_FAULTS],
  ["a rule's rollout", tags.SECTION_RULES, tags.RULE_STRIDE, tags.RULE_ROLLOUT, tags.SECTION_ROLLOUTS],
  ["a destination's route", tags.SECTION_DESTINATIONS, tags.DESTINATION_STRIDE, 0, tags.SECTION_ROUTES],
  ["a destination's label", tags.SECTION_DESTINATIONS, tags.DESTINATION_STRIDE, 8, tags.SECTION_LABELS],
  ["a route's id", tags.SECTION_ROUTES, tags.ROUTE_STRIDE, tags.ROUTE_ID_LENGTH, tags.SECTION_BYTES],
  ["a label's text", tags.SECTION_LABELS, tags.LABEL_STRIDE, tags.LABEL_LENGTH, tags.SECTION_BYTES],
  ["a rollout's slot", tags.SECTION_ROLLOUTS, tags.ROLLOUT_STRIDE, tags.ROLLOUT_KEY_SLOT, tags.SECTION_SLOTS],
  ["an override's slot", tags.SECTION_ROLLOUTS, tags.ROLLOUT_STRIDE, tags.ROLLOUT_OVERRIDE_SLOT, tags.SECTION_SLOTS],
  ["a ramp's weights", tags.SECTION_RAMPS, tags.RAMP_STRIDE, tags.RAMP_WEIGHTS, tags.SECTION_WEIGHTS],
])("%s that is out of its section is refused", (_, section, stride, field, target) => {
  const at = place(section, stride, field);
  for (const value of [directory(target).count + 1, 0x7fffffff, -2]) expect(isTaken(at, value)).toBe(false);
});

test("A section that is not aligned, or ends outside of the image, is refused", () => {
  for (let section = 1; section < tags.SECTION_COUNT; section++) {
    const { at, offset, count } = directory(section);
    for (const moved of [offset + 2, compiled.image.length + 4, 0]) expect(isTaken(at, moved)).toBe(false);
    if (count > 0) expect(isTaken(at + 4, compiled.image.length)).toBe(false);
  }
});

test("A prefix within itself, or within a longer one, is refused", () => {
  const { count } = directory(tags.SECTION_KEYS);
  for (let key = 0; key < count; key++) {
    const at = place(tags.SECTION_KEYS, tags.KEY_STRIDE, tags.KEY_PARENT, key);
    for (const parent of [key, key + 1, count]) expect(isTaken(at, parent)).toBe(false);
  }
});

test("An edge to its own node, or to an earlier one, is refused", () => {
  for (let edge = 0; edge < directory(tags.SECTION_EDGES).count; edge++)
    expect(isTaken(place(tags.SECTION_EDGES, tags.EDGE_STRIDE, tags.EDGE_NODE, edge), 0)).toBe(false);
});
