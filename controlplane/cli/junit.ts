// Test results in JUnit's XML, which build servers read.

export interface TestResult {
  readonly file: string;
  readonly name: string;
  /** What did not hold, a line each; empty when the test passed. */
  readonly failures: readonly string[];
}

/** One test suite for each file. */
export function junitXml(results: readonly TestResult[]): string {
  const files = [...new Set(results.map((result) => result.file))];
  const suites = files.map((file) => {
    const own = results.filter((result) => result.file === file);
    const failed = own.filter((result) => result.failures.length > 0).length;
    const cases = own.map((result) => testCase(result)).join("");
    return `  <testsuite name="${escape(file)}" tests="${own.length}" failures="${failed}">\n${cases}  </testsuite>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join("")}</testsuites>\n`;
}

function testCase({ file, name, failures }: TestResult): string {
  const head = `    <testcase classname="${escape(file)}" name="${escape(name)}"`;
  if (failures.length === 0) return `${head}/>\n`;
  const text = failures.map(escape).join("\n");
  return `${head}>\n      <failure message="${escape(failures[0] ?? "")}">${text}</failure>\n    </testcase>\n`;
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Control characters have no place in XML. */
function escape(text: string): string {
  const printable = [...text].filter((character) => character >= " " || character === "\n" || character === "\t");
  return printable.join("").replace(/[&<>"]/g, (character) => ENTITIES[character] ?? "");
}
