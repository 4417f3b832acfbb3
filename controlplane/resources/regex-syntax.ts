// Checks that a regular expression is RE2 syntax, in time linear in its length and without compiling it: a policy can
// hold thousands of them, and compiling a hostile one takes milliseconds.
import { RE2JS } from "re2js";
import { quote } from "./names.js";
import type { Fault } from "./report.js";

/** Characters. Istio's own limit, so what is refused here would be refused there. */
const LONGEST = 1_024;
/** RE2's limit on a repeat count, and on the product of nested ones. */
const MAX_REPEAT = 1_000;
const MAX_DEPTH = 1_000;

const CLASS_ESCAPES = "dDsSwW";
const CHARACTER_ESCAPES = "aftnrv";
const ASSERTIONS = "AzbB";
const POSIX_CLASSES = new Set(
  "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit".split(" "),
);
const GENERAL_CATEGORIES = new Set(
  "Any C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs".split(" "),
);
const GROUP_NAME = /^[A-Za-z0-9_]+$/;

/** What is wrong with a regular expression. */
export function checkRegex(pattern: string): Fault | undefined {
  if (pattern === "") return { code: "invalid-regex", message: "The regular expression is empty." };
  if (pattern.length > LONGEST) {
    return {
      code: "regex-too-large",
      message: `The regular expression has ${pattern.length} characters; the most is ${LONGEST}. Split it into alternatives.`,
    };
  }
  const problem = new RegexScanner(pattern).scan();
  if (problem === undefined) return undefined;
  return { code: "invalid-regex", message: `${quote(pattern)} is no RE2 expression: ${problem}.` };
}

/** A group that is open, and what the scanner must restore when it closes. */
interface OpenGroup {
  /** The largest product of repeat counts inside it so far. */
  repeats: number;
}

/** Walks once over the pattern. Each step consumes characters and returns what is wrong with them, if anything. */
class RegexScanner {
  private at = 0;
  private readonly groups: OpenGroup[] = [];
  private readonly names = new Set<string>();
  /** The largest product of repeat counts in the group that is open. */
  private repeats = 1;
  /** That product for the atom just read; undefined where a repetition has nothing to repeat. */
  private atom: number | undefined;
  private repeated = false;

  constructor(private readonly pattern: string) {}

  scan(): string | undefined {
    while (this.at < this.pattern.length) {
      const problem = this.step();
      if (problem !== undefined) return problem;
    }
    return this.groups.length > 0 ? "a group is not closed" : undefined;
  }

  private step(): string | undefined {
    const character = this.pattern[this.at];
    switch (character) {
      case "(":
        return this.openGroup();
      case ")":
        return this.closeGroup();
      case "|":
        this.at += 1;
        this.atom = undefined;
        this.repeated = false;
        return undefined;
      case "*":
      case "+":
      case "?":
        this.at += 1;
        return this.repeat(1, character);
      case "{":
        return this.countedRepeat();
      case "[":
        return this.characterClass();
      case "\\":
        return this.escape();
      default:
        this.at += 1;
        return this.finishAtom();
    }
  }

  private finishAtom(repeats = 1): undefined {
    this.atom = repeats;
    this.repeated = false;
    this.repeats = Math.max(this.repeats, repeats);
  }

  private repeat(count: number, operator: string): string | undefined {
    if (this.atom === undefined) return `nothing to repeat before "${operator}"`;
    if (this.repeated) return `"${operator}" repeats a repetition; put the inner one in (?:)`;
    if (this.pattern[this.at] === "?") this.at += 1;
    const repeats = this.atom * Math.max(count, 1);
    if (repeats > MAX_REPEAT) return `repeat counts multiply to more than ${MAX_REPEAT}`;
    this.finishAtom(repeats);
    this.repeated = true;
    return undefined;
  }

  /** {n}, {n,} and {n,m}; a brace that begins none of these is an ordinary character. */
  private countedRepeat(): string | undefined {
    const counts = /^\{(\d+)(?:(,)(\d*))?\}/.exec(this.pattern.slice(this.at, this.at + 24));
    if (counts === null) {
      this.at += 1;
      return this.finishAtom();
    }
    const [operator, least = "", comma, most] = counts;
    this.at += operator.length;
    const [low, high] = [Number(least), comma === undefined || most === "" ? Number(least) : Number(most)];
    if (low > MAX_REPEAT || high > MAX_REPEAT || high < low) return `"${operator}" is no valid repeat count`;
    return this.repeat(high, operator);
  }

  private openGroup(): string | undefined {
    if (this.groups.length >= MAX_DEPTH) return `groups are nested more than ${MAX_DEPTH} deep`;
    const problem = this.pattern[this.at + 1] === "?" ? this.groupOptions() : this.plainGroup();
    return problem;
  }

  private plainGroup(): undefined {
    this.at += 1;
    this.groups.push({ repeats: this.repeats });
    this.repeats = 1;
    this.atom = undefined;
    this.repeated = false;
  }

  /** (?flags), (?flags:...), (?P<name>...) and (?<name>...). */
  private groupOptions(): string | undefined {
    const rest = this.pattern.slice(this.at);
    if (/^\(\?<?[=!]/.test(rest)) return "RE2 has neither lookahead nor lookbehind";
    const name = /^\(\?P?<([^>]*)(>?)/.exec(rest);
    if (name !== null) return this.namedGroup(name[0], name[1] as string, name[2] === ">");
    const flags = /^\(\?([imsU]*(?:-[imsU]+)?)([:)])/.exec(rest);
    if (flags === null) return "a group's options are malformed";
    if (flags[2] === ":") {
      this.plainGroup();
      this.at += flags[0].length - 1;
      return undefined;
    }
    this.at += flags[0].length;
    this.repeated = false;
    return undefined;
  }

  private namedGroup(opening: string, name: string, closed: boolean): string | undefined {
    if (!closed || !GROUP_NAME.test(name)) return "a group's name is malformed";
    if (this.names.has(name)) return `two groups have the name ${quote(name)}`;
    this.names.add(name);
    this.plainGroup();
    this.at += opening.length - 1;
    return undefined;
  }

  private closeGroup(): string | undefined {
    const group = this.groups.pop();
    if (group === undefined) return "a group is closed that was not opened";
    this.at += 1;
    const inside = this.repeats;
    this.repeats = group.repeats;
    return this.finishAtom(inside);
  }

  private escape(): string | undefined {
    const quoted = this.pattern.startsWith("\\Q", this.at);
    if (quoted) return this.quotedText();
    const next = this.pattern[this.at + 1] ?? "";
    if (next !== "" && ASSERTIONS.includes(next)) {
      this.at += 2;
      return this.finishAtom();
    }
    return this.characterEscape().problem ?? this.finishAtom();
  }

  /** \Q...\E: everything up to \E, or the end, stands for itself. */
  private quotedText(): undefined {
    const end = this.pattern.indexOf("\\E", this.at + 2);
    const empty = end === this.at + 2 || this.at + 2 === this.pattern.length;
    this.at = end === -1 ? this.pattern.length : end + 2;
    if (!empty) this.finishAtom();
  }

  /** An escape that may stand in a class too. `set` says that it stands for several characters. */
  private characterEscape(): { problem?: string; set?: boolean; codePoint?: number } {
    const rest = this.pattern.slice(this.at, this.at + 80);
    const next = rest[1];
    if (next === undefined) return { problem: "a backslash stands at the end" };
    if (CLASS_ESCAPES.includes(next)) return this.consume(2, { set: true });
    if (next === "p" || next === "P") return this.unicodeClass(rest);
    if (CHARACTER_ESCAPES.includes(next))
      return this.consume(2, { codePoint: "\x07\f\t\n\r\v".charCodeAt("aftnrv".indexOf(next)) });
    const octal = /^\\(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(rest);
    if (octal !== null) return this.consume(octal[0].length, { codePoint: Number.parseInt(octal[0].slice(1), 8) });
    if (next === "x") return this.hexEscape(rest);
    if (/^[1-9]$/.test(next)) return { problem: "RE2 has no backreferences" };
    if (/^[A-Za-z0-9]$/.test(next) || next.charCodeAt(0) >= 0x80) return { problem: `"\\${next}" is no escape` };
    return this.consume(2, { codePoint: next.charCodeAt(0) });
  }

  private consume<T>(length: number, result: T): T {
    this.at += length;
    return result;
  }

  private hexEscape(rest: string): { problem?: string; codePoint?: number } {
    const hex = /^\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,8})\})/.exec(rest);
    const codePoint = Number.parseInt(hex?.[1] ?? hex?.[2] ?? "", 16);
    if (hex === null || codePoint > 0x10ffff) return { problem: "a \\x escape is malformed" };
    return this.consume(hex[0].length, { codePoint });
  }

  /** \pN, \p{Greek}, \p{^Greek} and their complements with \P. */
  private unicodeClass(rest: string): { problem?: string; set?: boolean } {
    const name = /^\\[pP](?:\{\^?([A-Za-z_]+)\}|([A-Za-z]))/.exec(rest);
    if (name === null) return { problem: "a \\p class is malformed" };
    const word = name[1] ?? name[2] ?? "";
    if (!isUnicodeClass(word)) return { problem: `there is no Unicode class ${quote(word)}` };
    return this.consume(name[0].length, { set: true });
  }

  private characterClass(): string | undefined {
    this.at += this.pattern[this.at + 1] === "^" ? 2 : 1;
    let first = true;
    while (first || this.pattern[this.at] !== "]") {
      if (this.at >= this.pattern.length) return "a character class is not closed";
      const problem = this.classMember();
      if (problem !== undefined) return problem;
      first = false;
    }
    this.at += 1;
    return this.finishAtom();
  }

  private classMember(): string | undefined {
    const posix = /^\[:\^?([^:\]]*):\]/.exec(this.pattern.slice(this.at, this.at + 24));
    if (posix !== null) {
      this.at += posix[0].length;
      return POSIX_CLASSES.has(posix[1] as string) ? undefined : `there is no class ${posix[0]}`;
    }
    const low = this.classCharacter();
    if (low.problem !== undefined || low.set === true) return low.problem;
    if (this.pattern[this.at] !== "-" || this.pattern[this.at + 1] === "]" || this.at + 1 >= this.pattern.length) {
      return undefined;
    }
    this.at += 1;
    const high = this.classCharacter();
    if (high.problem !== undefined) return high.problem;
    const reversed = high.set === true || (high.codePoint as number) < (low.codePoint as number);
    return reversed ? "a range in a character class is malformed or reversed" : undefined;
  }

  private classCharacter(): { problem?: string; set?: boolean; codePoint?: number } {
    if (this.pattern[this.at] === "\\") return this.characterEscape();
    const codePoint = this.pattern.codePointAt(this.at);
    if (codePoint === undefined) return { problem: "a character class is not closed" };
    return this.consume(codePoint > 0xffff ? 2 : 1, { codePoint });
  }
}

const knownScripts = new Map<string, boolean>();

/** General categories by their short names and scripts by their long ones, as RE2 has them. */
function isUnicodeClass(name: string): boolean {
  if (GENERAL_CATEGORIES.has(name)) return true;
  if (!/^[A-Z][a-z]+(?:_[A-Z][a-z]+)*$/.test(name) || name.length > 40) return false;
  const known = knownScripts.get(name) ?? isScript(name);
  if (knownScripts.size < 1_000) knownScripts.set(name, known);
  return known;
}

function isScript(name: string): boolean {
  try {
    RE2JS.compile(`\\p{${name}}`);
    return true;
  } catch {
    return false;
  }
}
