// Sets of names in a snapshot's order are as plain sets are, whatever is done to them.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Names } from "../../controlplane/xds/names.js";

const COUNT = 300;
const resource = (name: string, version: string) => ({ name, version, any: new Uint8Array() });
const snapshot = (version: string) =>
  new Map(Array.from({ length: COUNT }, (_, index) => [`n${index}`, resource(`n${index}`, version)]));
const FIRST = snapshot("1");
const SECOND = snapshot("2");
/** In another order, and without some. */
const THIRD = new Map([...snapshot("3")].reverse().slice(5));
const LISTED = ["strange", ...[...FIRST.keys()].reverse().slice(10)];

/** Runs and single names, forwards and backwards, of the snapshot and strange ones. */
const some = fc.oneof(
  fc.tuple(fc.nat(COUNT + 5), fc.nat(COUNT), fc.boolean()).map(([from, length, turned]) => {
    const names = Array.from({ length }, (_, index) => `n${from + index}`);
    return turned ? names.reverse() : names;
  }),
  fc.array(fc.constantFrom<string>("n0", "n1", "n150", "n299", "strange", "n300"), { maxLength: 4 }),
);

test("names are a set, whatever is added and deleted, and while it is being gone through", () => {
  const step = fc.tuple(
    fc.constantFrom("add", "add all", "add where", "delete all", "delete list", "delete", "clear", "drain", "follow"),
    some,
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const names = new Names();
      const model = new Set<string>();
      names.follow(FIRST, COUNT);
      for (const [what, list] of steps) {
        if (what === "clear") for (const set of [names, model]) set.clear();
        if (what === "follow") names.follow(SECOND, COUNT);
        if (what === "add") for (const name of list) names.add(name) && model.add(name);
        // One list is often added to several sets, the others but once.
        if (what === "add all") {
          const listed = list.length < COUNT / 2 ? list : LISTED;
          names.addAll(listed);
          for (const name of listed) model.add(name);
        }
        if (what === "add where") {
          const set = new Names();
          if (list.length % 2 === 0) set.follow(FIRST, COUNT);
          set.addAll(list);
          const isIn = list.length % 3 === 0;
          names.addAll(LISTED, { set, isIn });
          for (const name of LISTED) if (list.includes(name) === isIn) model.add(name);
        }
        if (what === "delete list") {
          const listed = list.length < COUNT / 2 ? list : LISTED;
          names.deleteAll(listed);
          for (const name of listed) model.delete(name);
        }
        if (what === "delete all") {
          const gone = new Names();
          if (list.length % 2 === 0) gone.follow(FIRST, COUNT);
          for (const name of list) gone.add(name);
          names.deleteAll(gone);
          for (const name of list) model.delete(name);
        }
        if (what === "delete") for (const name of list) expect(names.delete(name)).toBe(model.delete(name));
        if (what === "drain") {
          for (const name of names) {
            if (list.includes(name)) break;
            expect(names.delete(name)).toBe(true);
            expect(model.delete(name)).toBe(true);
          }
          const resources = list.length % 2 === 0 ? FIRST : THIRD;
          for (const [name, found] of names.drain(resources)) {
            expect(found).toBe(resources.get(name));
            expect(names.has(name)).toBe(false);
            expect(model.delete(name)).toBe(true);
            if (list.includes(name)) break;
          }
        }
        expect(names.size).toBe(model.size);
        for (const listed of [list, LISTED]) expect(names.hasAll(listed)).toBe(listed.every((name) => model.has(name)));
        expect(new Set(names)).toEqual(model);
        expect(new Set(names.list())).toEqual(model);
        for (const name of ["n0", "n150", "n299", "n300", "strange"]) expect(names.has(name)).toBe(model.has(name));
      }
    }),
    { numRuns: 500, seed: 1 },
  );
});
