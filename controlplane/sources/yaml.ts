// Reads a file's YAML into raw objects: the first step of every source of files. Text is not trusted: whatever costs
// more than its length is refused before it is expanded.
import { Composer, type Document, type ErrorCode, Lexer, LineCounter, Parser } from "yaml";
import type { RawObject } from "../resources/resource.js";
import type { Violation } from "../resources/violation.js";
import { makeViolation } from "../resources/violation-at.js";
import { locateIn, type Positions, positionAt, shareLineStarts } from "./positions.js";
import { LimitError, SyntaxFault, toValue } from "./yaml-value.js";

export const YAML_LIMITS = {
  /** Characters of a file; an object in Kubernetes can have 1.5 MiB. */
  size: 4 * 1_048_576,
  /** Documents of a file. */
  documents: 20_000,
  /** Collections within one another. */
  depth: 200,
  /** Syntax errors that are listed for a document. */
  errors: 10,
} as const;

/** A raw object with the table of its positions, so that it can be sent to another thread. */
export interface YamlObject extends RawObject {
  readonly positions: Positions;
}

export interface YamlFile {
  /** The documents that could be read, without the empty ones. */
  readonly objects: readonly YamlObject[];
  /** Of the codes yaml-syntax and yaml-limit. */
  readonly violations: readonly Violation[];
}

/** Reads all documents of a text; `file` is the name that positions give. A document with a fault gives no object. */
export function parseYaml(text: string, file: string): YamlFile {
  return new YamlReader(file).read(text);
}

class YamlReader {
  private readonly objects: YamlObject[] = [];
  private readonly violations: Violation[] = [];
  private readonly lines = new LineCounter();
  private readonly parser = new Parser(this.lines.addNewLine);
  private readonly composer = new Composer({
    lineCounter: this.lines,
    prettyErrors: false,
    // Duplicate keys are found while values are made, in linear time.
    uniqueKeys: false,
    stringKeys: true,
    resolveKnownTags: false,
    merge: false,
    schema: "core",
  });
  private documents = 0;
  private lineStarts: Uint32Array = new Uint32Array();

  constructor(private readonly file: string) {}

  read(text: string): YamlFile {
    const stackTraceLimit = Error.stackTraceLimit;
    // The parser makes an error object for each fault, and a stack trace is most of its cost.
    Error.stackTraceLimit = 0;
    try {
      const documents = this.compose(text);
      this.lineStarts = shareLineStarts(this.lines.lineStarts);
      for (const document of documents) this.readDocument(document);
    } catch (error) {
      if (!(error instanceof LimitError)) throw error;
      this.lineStarts = shareLineStarts(this.lines.lineStarts);
      this.report("yaml-limit", error.offset, error.message);
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
    return { objects: this.objects, violations: this.violations };
  }

  private compose(text: string): readonly Document.Parsed[] {
    if (text.length > YAML_LIMITS.size) {
      throw new LimitError(0, `The file is larger than ${YAML_LIMITS.size / 1_048_576} MiB; split it.`);
    }
    const documents: Document.Parsed[] = [];
    this.lines.addNewLine(0);
    for (const lexeme of new Lexer().lex(text)) {
      for (const token of this.parser.next(lexeme)) documents.push(...this.composer.next(token));
      this.checkLimits(documents.length);
    }
    for (const token of this.parser.end()) documents.push(...this.composer.next(token));
    documents.push(...this.composer.end());
    return documents;
  }

  private checkLimits(documents: number): void {
    if (this.parser.stack.length > YAML_LIMITS.depth) {
      throw new LimitError(this.parser.offset, `Collections are nested more than ${YAML_LIMITS.depth} deep.`);
    }
    if (documents > YAML_LIMITS.documents) {
      throw new LimitError(this.parser.offset, `The file has more than ${YAML_LIMITS.documents} documents; split it.`);
    }
  }

  private readDocument(document: Document.Parsed): void {
    for (const { pos, code, message } of document.errors.slice(0, YAML_LIMITS.errors)) {
      this.report("yaml-syntax", pos[0], [wordError(message), HINTS[code] ?? []].flat().join(" "));
    }
    if (document.errors.length > 0) return;
    try {
      const { value, recorder } = toValue(document);
      if (value === null) return;
      const positions = recorder.finish(this.file, this.lineStarts);
      this.objects.push({ value, positions, locate: (path) => locateIn(positions, path) });
    } catch (error) {
      if (error instanceof LimitError) this.report("yaml-limit", error.offset, error.message);
      else if (error instanceof SyntaxFault) this.report("yaml-syntax", error.offset, error.message);
      else throw error;
    }
  }

  private report(code: "yaml-limit" | "yaml-syntax", offset: number, message: string): void {
    this.violations.push(makeViolation(code, "error", [], message, positionAt(this.file, this.lineStarts, offset), {}));
  }
}

/** What to do about mistakes that the parser words for those who wrote it. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: "A * begins an alias: put it in quotes where it is meant as it stands.",
  BAD_INDENT: "Look at the indentation there and in the lines before.",
  MISSING_CHAR: "Look at the indentation, and for what is not closed, there and in the lines before.",
  MULTILINE_IMPLICIT_KEY: "A line is indented further than those it belongs to, or a colon is missing.",
  NON_STRING_KEY: "Where this is a template, fill it in first.",
};

/** The parser's messages, without the text that some of them show: it may be a secret's. */
function wordError(message: string): string {
  return `${message.replace(/(YAML (?:stream|document)|extra characters): .*$/s, "$1")}.`;
}
