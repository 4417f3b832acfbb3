// A Dockerfile as its stages, and the files of an image put together without an engine, from a tree that is built.
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

export interface Instruction {
  /** In capitals. */
  readonly name: string;
  readonly text: string;
}

export interface Stage {
  readonly name: string;
  /** A stage's name, or an image. */
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

/** Arguments are put in by their defaults. */
export function readStages(text: string): ReadonlyMap<string, Stage> {
  const stages = new Map<string, Stage & { instructions: Instruction[] }>();
  const defaults: Record<string, string> = {};
  let current: (Stage & { instructions: Instruction[] }) | undefined;
  for (const line of text
    .replace(/^\s*#.*\n/gm, "")
    .replace(/\\\n\s*/g, "")
    .split("\n")) {
    const [, name = "", rest = ""] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    const value = rest.replace(/\$\{(\w+)\}/g, (_, key: string) => defaults[key] ?? "");
    if (name === "ARG") defaults[value.split("=")[0] as string] = value.slice(value.indexOf("=") + 1);
    else if (name === "FROM") {
      const [base = "", , stage = ""] = value.split(/\s+/);
      current = { name: stage, base, instructions: [] };
      stages.set(stage, current);
    } else if (name !== "") current?.instructions.push({ name, text: value });
  }
  return stages;
}

/** The instructions of a stage after those of the stages that it is made from. */
export function inheritedInstructions(stages: ReadonlyMap<string, Stage>, name: string): readonly Instruction[] {
  const stage = stages.get(name);
  return stage === undefined ? [] : [...inheritedInstructions(stages, stage.base), ...stage.instructions];
}

/** The text of the last such instruction, as in ENTRYPOINT. */
export function lastOf(instructions: readonly Instruction[], name: string): string | undefined {
  return instructions.findLast((instruction) => instruction.name === name)?.text;
}

/**
 * Carries out what a stage copies from others: `/headgate` there is the project's folder, with the packages that
 * `npm prune --omit=dev` leaves, and `/headgate` here is a folder of that name in `root`.
 */
export async function copyFiles(instructions: readonly Instruction[], root: string): Promise<void> {
  for (const { name, text } of instructions) {
    const [from, ...paths] = text.split(/\s+/);
    if (name !== "COPY" || !from?.startsWith("--from=")) continue;
    const target = paths.pop() as string;
    for (const path of paths.filter((each) => each.startsWith("/headgate/"))) {
      const source = path.slice("/headgate/".length);
      const place = join(
        root,
        "headgate",
        target.endsWith("/") ? join(target, source.split("/").at(-1) as string) : target,
      );
      await mkdir(dirname(place), { recursive: true });
      if (source === "node_modules") await copyPackages(place);
      else await promisify(execFile)("cp", ["-RL", source, place]);
    }
  }
}

async function copyPackages(place: string): Promise<void> {
  const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
    readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
  };
  // What lies in a package's own node_modules comes with it.
  const kept = Object.entries(lock.packages).filter(
    ([path, { dev }]) => path.lastIndexOf("node_modules/") === 0 && !dev,
  );
  const paths = kept.map(([path]) => path).filter(existsSync);
  await promisify(execFile)("cp", ["-R", "--parents", ...paths, dirname(place)]);
}
