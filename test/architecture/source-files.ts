// The project's own source files, and what each imports: read as text, since the rules are about text.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, posix } from "node:path";

const FOLDERS = ["bench", "bin", "controlplane", "envoy", "examples", "filters", "scripts", "test"];
const GENERATED = "controlplane/gen";

export interface SourceFile {
  /** From the repository's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** Every TypeScript, AssemblyScript and JavaScript file that people wrote, sorted by path. */
export function sourceFiles(root: string): readonly SourceFile[] {
  const paths = FOLDERS.flatMap((folder) => filesBelow(root, folder)).filter((path) => /\.(ts|mjs|js)$/.test(path));
  return paths.sort().map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

function filesBelow(root: string, folder: string): string[] {
  if (folder === GENERATED || !statSync(join(root, folder), { throwIfNoEntry: false })) return [];
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(root, path) : [path];
  });
}

/** The files of ours that a file imports, as paths without extension; libraries and generated protos are left out. */
export function ownImports(file: SourceFile): readonly string[] {
  const specifiers = file.text.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)["'](\.[^"']+)["']/g);
  return [...specifiers]
    .map(([, specifier]) => posix.join(posix.dirname(file.path), specifier as string).replace(/\.(js|ts|mjs)$/, ""))
    .filter((path) => !path.startsWith(`${GENERATED}/`));
}
