// The steps of set-up: each is skipped while a hash of its inputs is unchanged, shows that it is running, and fails with
// what to do. Plain Node without dependencies, since it runs before any are installed.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const stamps = join(root, "build", "stamps");

/** What the user can mend; its message is all that is shown. */
export class SetupError extends Error {}

/** Shows a step while it runs, and how long it took; work may call say() to change the text. */
export async function showing(title, work) {
  const started = Date.now();
  const live = process.stderr.isTTY;
  let text = title;
  const draw = () => process.stderr.write(`\r\x1b[K  ${text} … ${Math.round((Date.now() - started) / 1000)} s`);
  const timer = live ? setInterval(draw, 1000) : undefined;
  const say = (message) => {
    if (live) text = message;
    else process.stderr.write(`  ${message}\n`);
  };
  if (live) draw();
  else say(title);
  try {
    const result = await work(say);
    const took = ((Date.now() - started) / 1000).toFixed(1);
    if (live) process.stderr.write(`\r\x1b[K  ${title}: done in ${took} s\n`);
    return result;
  } catch (error) {
    if (live) process.stderr.write("\r\x1b[K");
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/**
 * Runs work unless its last run succeeded on the same inputs (files or folders below root; parameters are hashed as
 * they are) and its outputs are still there.
 */
export async function stamped({ name, title, inputs, parameters = [], outputs, work }) {
  const hash = hashOf(inputs, parameters);
  const stamp = join(stamps, name);
  const current = existsSync(stamp) && readFileSync(stamp, "utf8") === hash;
  if (current && outputs.every((output) => existsSync(join(root, output)))) return;
  rmSync(stamp, { force: true });
  await showing(title, work);
  mkdirSync(stamps, { recursive: true });
  writeFileSync(stamp, hash);
}

function hashOf(inputs, parameters) {
  const hash = createHash("sha256").update(JSON.stringify(parameters));
  for (const file of inputs.flatMap((input) => filesBelow(input)).sort())
    hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

function filesBelow(path) {
  if (!existsSync(join(root, path))) return [];
  if (statSync(join(root, path)).isFile()) return [path];
  return readdirSync(join(root, path)).flatMap((name) => filesBelow(join(path, name)));
}

/** Runs a program in root without a shell; rejects with its output if it fails, or with advice if it is missing. */
export function run(program, args, { advice } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    child.on("error", (error) => reject(new SetupError(`${program} cannot be started: ${error.message}`)));
    child.on("close", (code) => {
      if (code === 0) return resolve(output);
      const shown = [program, ...args].join(" ").replaceAll(`${root}/`, "").replace(process.execPath, "node");
      reject(new SetupError(`${shown} failed:\n\n${lastLines(output, 40)}\n${advice ? `\n${advice(output)}` : ""}`));
    });
  });
}

function lastLines(text, count) {
  return text.trimEnd().split("\n").slice(-count).join("\n");
}

/** Runs a script's main function; a SetupError becomes its text and exit code 1. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`\nHeadgate: ${error.message}`);
    process.exit(1);
  }
}
