// RE2's syntax -> a syntax tree. What RE2 refuses is refused here: backreferences, lookaround, stacked repetition.
import { foldCase, LAST_CODE_POINT, negate, normalize, PERL, POSIX, unicodeClass } from "./character-class.js";
import { type CharacterClass, type Node, PatternError, type Range } from "./syntax.js";

/** RE2's own limit. */
const MOST_REPETITIONS = 1000;
const DEEPEST_NESTING = 250;

interface Flags {
  readonly ignoreCase: boolean;
  readonly multiLine: boolean;
  readonly dotMatchesNewline: boolean;
}

/** Parses a pattern. Throws PatternError with a reason that ends a sentence. */
export function parsePattern(pattern: string, { ignoreCase }: { readonly ignoreCase: boolean }): Node {
  const parser = new Parser(pattern, { ignoreCase, multiLine: false, dotMatchesNewline: false });
  const node = parser.alternation();
  if (!parser.atEnd()) throw new PatternError("there is an unexpected )");
  return node;
}

class Parser {
  private readonly text: readonly string[];
  private readonly names = new Set<string>();
  private at = 0;
  private depth = 0;

  constructor(
    pattern: string,
    private flags: Flags,
  ) {
    this.text = [...pattern];
  }

  atEnd(): boolean {
    return this.at === this.text.length;
  }

  /** Up to the end or an unmatched ")". */
  alternation(): Node {
    const branches = [this.concatenation()];
    while (this.take("|")) branches.push(this.concatenation());
    return branches.length === 1 ? (branches[0] as Node) : { type: "alternate", nodes: branches };
  }

  private concatenation(): Node {
    const nodes: Node[] = [];
    while (!this.atEnd() && this.peek() !== "|" && this.peek() !== ")") {
      if (this.takeText("\\Q")) {
        nodes.push(...this.quoted());
        continue;
      }
      const atom = this.atom();
      if (atom) nodes.push(this.repetition(atom));
    }
    return nodes.length === 1 ? (nodes[0] as Node) : { type: "concat", nodes };
  }

  /** What follows \Q, up to \E; a repetition applies to the last character. */
  private quoted(): Node[] {
    const nodes: Node[] = [];
    while (!this.atEnd() && !this.takeText("\\E")) nodes.push(this.literal(this.next()));
    const last = nodes.pop();
    return last ? [...nodes, this.repetition(last)] : [];
  }

  /** One thing that can be repeated; undefined for a group that only sets flags. */
  private atom(): Node | undefined {
    const character = this.next();
    switch (character) {
      case ".":
        return { type: "class", ranges: this.flags.dotMatchesNewline ? negate([]) : negate([[0x0a, 0x0a]]) };
      case "^":
        return { type: "assertion", assertion: this.flags.multiLine ? "beginLine" : "beginText" };
      case "$":
        return { type: "assertion", assertion: this.flags.multiLine ? "endLine" : "endText" };
      case "[":
        return { type: "class", ranges: this.bracket() };
      case "(":
        return this.group();
      case "*":
      case "+":
      case "?":
        throw new PatternError(`there is nothing for ${character} to repeat`);
      case "\\":
        return this.escape();
      case "{":
        this.at--;
        if (this.counts()) throw new PatternError("there is nothing for {} to repeat");
        this.at++;
    }
    return this.literal(character);
  }

  private repetition(node: Node): Node {
    const start = this.at;
    const counts = this.repetitionCounts();
    if (!counts) return node;
    this.take("?");
    const end = this.at;
    if (this.repetitionCounts())
      throw new PatternError(`repetitions are stacked in ${this.text.slice(start, this.at).join("")}`);
    this.at = end;
    return { type: "repeat", node, min: counts[0], max: counts[1] };
  }

  private repetitionCounts(): Range | undefined {
    if (this.take("*")) return [0, Number.POSITIVE_INFINITY];
    if (this.take("+")) return [1, Number.POSITIVE_INFINITY];
    if (this.take("?")) return [0, 1];
    return this.counts();
  }

  /** {n}, {n,} or {n,m}; anything else after "{" makes that an ordinary character. */
  private counts(): Range | undefined {
    const found = /^\{(\d+)(,(\d*))?\}/.exec(this.ahead());
    if (!found) return undefined;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === "" ? Number.POSITIVE_INFINITY : Number(found[3]);
    const most = Number.isFinite(max) ? max : min;
    if (most > MOST_REPETITIONS) throw new PatternError(`${found[0]} repeats more than ${MOST_REPETITIONS} times`);
    if (max < min) throw new PatternError(`${found[0]} has its bounds the wrong way round`);
    this.at += found[0].length;
    return [min, max];
  }

  /** After "(". */
  private group(): Node | undefined {
    const outer = this.flags;
    if (this.take("?") && !this.takeName()) {
      const flags = this.groupFlags();
      this.flags = flags;
      if (this.take(")")) return undefined;
      this.expect(":", "a group's flags end with : or )");
    }
    if (++this.depth > DEEPEST_NESTING) throw new PatternError(`groups are nested more than ${DEEPEST_NESTING} deep`);
    const node = this.alternation();
    this.depth--;
    this.expect(")", "a ) is missing");
    this.flags = outer;
    return node;
  }

  /** P<name> or <name>. */
  private takeName(): boolean {
    const found = /^P?<([^>]*)>/.exec(this.ahead());
    if (!found || /^<[=!]/.test(found[0])) return false;
    const name = found[1] as string;
    if (!/^[\p{L}\p{N}_]+$/u.test(name)) throw new PatternError(`${JSON.stringify(name)} is no name for a group`);
    if (this.names.has(name)) throw new PatternError(`two groups are named ${name}`);
    this.names.add(name);
    this.at += [...found[0]].length;
    return true;
  }

  private groupFlags(): Flags {
    const flags = { ...this.flags };
    let value = true;
    let seen = false;
    for (;;) {
      const flag = this.peek();
      if (flag === "i") flags.ignoreCase = value;
      else if (flag === "m") flags.multiLine = value;
      else if (flag === "s") flags.dotMatchesNewline = value;
      else if (flag === "-" && value) {
        value = false;
        seen = false;
        this.at++;
        continue;
      } else if (flag !== "U") break;
      seen = true;
      this.at++;
    }
    const end = this.peek();
    if ((end !== ":" && end !== ")") || (!value && !seen))
      throw new PatternError("what follows (? is neither flags nor a name; lookaround is not part of RE2");
    return flags;
  }

  /** After a backslash, outside of brackets. */
  private escape(): Node {
    const character = this.peek();
    switch (character) {
      case "A":
      case "z":
      case "b":
      case "B":
        this.at++;
        return { type: "assertion", assertion: ESCAPED_ASSERTIONS[character] };
      case "C":
        this.at++;
        return { type: "byte" };
    }
    const ranges = this.escapedClass();
    return ranges ? { type: "class", ranges } : this.literalPoint(this.escapedPoint());
  }

  /** \d, \pN and the like; undefined when something else follows the backslash. */
  private escapedClass(): CharacterClass | undefined {
    const letter = this.peek() ?? "";
    const perl = PERL[letter.toLowerCase()];
    if (perl && /[dswDSW]/.test(letter)) {
      this.at++;
      const folded = this.flags.ignoreCase ? foldCase(perl) : perl;
      return letter === letter.toLowerCase() ? folded : negate(folded);
    }
    if (letter !== "p" && letter !== "P") return undefined;
    this.at++;
    return this.unicode(letter === "P");
  }

  /** After \p or \P. */
  private unicode(negated: boolean): CharacterClass {
    let name = this.next();
    if (name === "{") {
      const end = this.text.indexOf("}", this.at);
      if (end < 0) throw new PatternError("a } is missing after \\p{");
      name = this.text.slice(this.at, end).join("");
      this.at = end + 1;
    }
    const inverse = name.startsWith("^");
    const ranges = unicodeClass(inverse ? name.slice(1) : name);
    if (!ranges) throw new PatternError(`\\p{${name}} is no class that is known`);
    const folded = this.flags.ignoreCase ? foldCase(ranges) : ranges;
    return negated !== inverse ? negate(folded) : folded;
  }

  /** After a backslash: one code point. */
  private escapedPoint(): number {
    if (this.atEnd()) throw new PatternError("it ends with a backslash");
    const character = this.next();
    const control = CONTROLS[character];
    if (control !== undefined) return control;
    if (character === "x") return this.hexadecimal();
    if (/[0-7]/.test(character) && (character === "0" || /[0-7]/.test(this.peek() ?? ""))) {
      let digits = character;
      while (digits.length < 3 && /[0-7]/.test(this.peek() ?? "")) digits += this.next();
      return Number.parseInt(digits, 8);
    }
    if (/[0-9A-Za-z]|[^\0-\x7f]/.test(character)) throw new PatternError(`\\${character} means nothing in RE2`);
    return character.codePointAt(0) as number;
  }

  private hexadecimal(): number {
    const found = /^(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]+)\})/.exec(this.ahead());
    const point = found ? Number.parseInt((found[1] ?? found[2]) as string, 16) : Number.NaN;
    if (!found || point > LAST_CODE_POINT) throw new PatternError("\\x is not followed by a character's number");
    this.at += found[0].length;
    return point;
  }

  /** After "[". */
  private bracket(): CharacterClass {
    const negated = this.take("^");
    const ranges: Range[] = [];
    for (let first = true; first || this.peek() !== "]"; first = false) {
      if (this.atEnd()) throw new PatternError("a ] is missing");
      ranges.push(...(this.namedClass() ?? this.bracketClass() ?? [this.bracketRange()]));
    }
    this.at++;
    const joined = normalize(ranges);
    const folded = this.flags.ignoreCase ? foldCase(joined) : joined;
    return negated ? negate(folded) : folded;
  }

  /** [:name:] or [:^name:], within brackets. */
  private namedClass(): CharacterClass | undefined {
    if (this.peek() !== "[" || this.text[this.at + 1] !== ":") return undefined;
    const found = /^\[:(\^?)([^\]]*):\]/.exec(this.ahead());
    if (!found) return undefined;
    const ranges = POSIX[found[2] as string];
    if (!ranges) throw new PatternError(`${found[0]} is no class that is known`);
    this.at += [...found[0]].length;
    const folded = this.flags.ignoreCase ? foldCase(ranges) : ranges;
    return found[1] ? negate(folded) : folded;
  }

  private bracketClass(): CharacterClass | undefined {
    if (this.peek() !== "\\") return undefined;
    this.at++;
    const ranges = this.escapedClass();
    if (!ranges) this.at--;
    return ranges;
  }

  private bracketRange(): Range {
    const lo = this.bracketPoint();
    if (this.peek() !== "-" || this.text[this.at + 1] === "]" || this.at + 1 === this.text.length) return [lo, lo];
    this.at++;
    const hi = this.bracketPoint();
    if (hi < lo) throw new PatternError("a range in brackets has its ends the wrong way round");
    return [lo, hi];
  }

  private bracketPoint(): number {
    if (this.atEnd()) throw new PatternError("a ] is missing");
    const character = this.next();
    return character === "\\" ? this.escapedPoint() : (character.codePointAt(0) as number);
  }

  private literal(character: string): Node {
    return this.literalPoint(character.codePointAt(0) as number);
  }

  private literalPoint(point: number): Node {
    const ranges: CharacterClass = [[point, point]];
    return { type: "class", ranges: this.flags.ignoreCase ? foldCase(ranges) : ranges };
  }

  private peek(): string | undefined {
    return this.text[this.at];
  }

  private next(): string {
    const character = this.text[this.at++];
    if (character === undefined) throw new PatternError("it ends too soon");
    return character;
  }

  /** What follows, as far as any name or number may go. */
  private ahead(): string {
    return this.text.slice(this.at, this.at + 128).join("");
  }

  private take(character: string): boolean {
    if (this.peek() !== character) return false;
    this.at++;
    return true;
  }

  private takeText(text: string): boolean {
    const found = this.text.slice(this.at, this.at + text.length).join("") === text;
    if (found) this.at += text.length;
    return found;
  }

  private expect(character: string, otherwise: string): void {
    if (!this.take(character)) throw new PatternError(otherwise);
  }
}

const ESCAPED_ASSERTIONS = { A: "beginText", z: "endText", b: "wordBoundary", B: "noWordBoundary" } as const;

const CONTROLS: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };
