// Sets of code points: their algebra, and the named ones of RE2's syntax.
import type { CharacterClass, Range } from "./syntax.js";

export const LAST_CODE_POINT = 0x10ffff;

/** Sorts and joins ranges. */
export function normalize(ranges: readonly Range[]): CharacterClass {
  const joined: [number, number][] = [];
  for (const [lo, hi] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last && lo <= last[1] + 1) last[1] = Math.max(last[1], hi);
    else joined.push([lo, hi]);
  }
  return joined;
}

export function negate(ranges: CharacterClass): CharacterClass {
  const rest: Range[] = [];
  let next = 0;
  for (const [lo, hi] of ranges) {
    if (lo > next) rest.push([next, lo - 1]);
    next = hi + 1;
  }
  if (next <= LAST_CODE_POINT) rest.push([next, LAST_CODE_POINT]);
  return rest;
}

const DIGIT: CharacterClass = [[0x30, 0x39]];
const UPPER: CharacterClass = [[0x41, 0x5a]];
const LOWER: CharacterClass = [[0x61, 0x7a]];
const WORD: CharacterClass = [...DIGIT, ...UPPER, [0x5f, 0x5f], ...LOWER];

/** The classes behind \d, \s and \w. */
export const PERL: Readonly<Record<string, CharacterClass>> = {
  d: DIGIT,
  // Not the vertical tab.
  s: normalize([
    [0x09, 0x0a],
    [0x0c, 0x0d],
    [0x20, 0x20],
  ]),
  w: WORD,
};

/** The classes behind [:name:]. */
export const POSIX: Readonly<Record<string, CharacterClass>> = {
  alnum: [...DIGIT, ...UPPER, ...LOWER],
  alpha: [...UPPER, ...LOWER],
  ascii: [[0, 0x7f]],
  blank: [
    [0x09, 0x09],
    [0x20, 0x20],
  ],
  cntrl: [
    [0, 0x1f],
    [0x7f, 0x7f],
  ],
  digit: DIGIT,
  graph: [[0x21, 0x7e]],
  lower: LOWER,
  print: [[0x20, 0x7e]],
  punct: [
    [0x21, 0x2f],
    [0x3a, 0x40],
    [0x5b, 0x60],
    [0x7b, 0x7e],
  ],
  space: [
    [0x09, 0x0d],
    [0x20, 0x20],
  ],
  upper: UPPER,
  word: WORD,
  xdigit: [
    [0x30, 0x39],
    [0x41, 0x46],
    [0x61, 0x66],
  ],
};

const unicodeClasses = new Map<string, CharacterClass | undefined>();

/** A general category or script by the name that \p{name} gives; undefined when there is none. */
export function unicodeClass(name: string): CharacterClass | undefined {
  if (name === "Any") return [[0, LAST_CODE_POINT]];
  if (!unicodeClasses.has(name)) unicodeClasses.set(name, findUnicodeClass(name));
  return unicodeClasses.get(name);
}

function findUnicodeClass(name: string): CharacterClass | undefined {
  if (!/^[A-Z][A-Za-z_]*$/.test(name)) return undefined;
  const member = propertyOf(name.length <= 2 ? `General_Category=${name}` : "") ?? propertyOf(`Script=${name}`);
  if (!member) return undefined;
  const ranges: [number, number][] = [];
  for (let point = 0; point <= LAST_CODE_POINT; point++) {
    if (!member.test(String.fromCodePoint(point))) continue;
    const last = ranges.at(-1);
    if (last?.[1] === point - 1) last[1] = point;
    else ranges.push([point, point]);
  }
  return ranges;
}

function propertyOf(property: string): RegExp | undefined {
  try {
    return new RegExp(`^\\p{${property}}$`, "u");
  } catch {
    return undefined;
  }
}

/** The class with every character that differs from one of its own only in case. */
export function foldCase(ranges: CharacterClass): CharacterClass {
  const folded: Range[] = [...ranges];
  for (const [point, others] of caseOrbits()) {
    if (!contains(ranges, point)) continue;
    for (const other of others) folded.push([other, other]);
  }
  return normalize(folded);
}

export function contains(ranges: CharacterClass, point: number): boolean {
  return ranges.some(([lo, hi]) => lo <= point && point <= hi);
}

let orbits: Map<number, readonly number[]> | undefined;

/** For each character that has case, the others that simple case folding makes equal to it. */
function caseOrbits(): Map<number, readonly number[]> {
  if (orbits) return orbits;
  const byFold = new Map<number, number[]>();
  const cased = /[\p{Lowercase}\p{Uppercase}\p{Lt}\p{Changes_When_Casefolded}\p{Changes_When_Uppercased}]/u;
  for (let point = 0; point < 0x1f000; point++) {
    const character = String.fromCodePoint(point);
    if (!cased.test(character)) continue;
    const fold = simpleFold(character);
    const orbit = byFold.get(fold);
    if (orbit) orbit.push(point);
    else byFold.set(fold, [point]);
  }
  orbits = new Map();
  for (const orbit of byFold.values())
    for (const point of orbit)
      if (orbit.length > 1)
        orbits.set(
          point,
          orbit.filter((other) => other !== point),
        );
  return orbits;
}

/** One character for all that are equal but for case: the lower case of the upper case, where those are single. */
function simpleFold(character: string): number {
  const upper = character.toUpperCase();
  const single = [...upper].length === 1 ? upper : character;
  const lower = single.toLowerCase();
  return ([...lower].length === 1 ? lower : single).codePointAt(0) as number;
}
