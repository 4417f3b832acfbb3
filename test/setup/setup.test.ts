// Set-up as scripts/ does it, in a small stand-in for the repository whose tools only count that they were called.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { testScope } from "../harness/scope.js";

const scope = testScope();
const LOCK = { packages: { "": {}, "node_modules/a": { integrity: "sha512-a" } } };

/** A tool that notes that it ran and makes what it should make. */
const tool = (name: string, makes: string) => `
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
appendFileSync("calls", "${name}\\n");
mkdirSync(dirname("${makes}"), { recursive: true });
writeFileSync("${makes}", "made");
`;
const FINDS_ENVOY = `export const findEnvoy = async () => ({ value: { path: "/somewhere/envoy", version: "1.40.0" } });`;

async function standIn() {
  const root = await scope.directory();
  const file = async (path: string, text: string) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };
  await cp("scripts", join(root, "scripts"), { recursive: true });
  await file("package.json", `{ "type": "module" }`);
  await file("package-lock.json", JSON.stringify(LOCK));
  await file("node_modules/.package-lock.json", JSON.stringify(LOCK));
  await file("scripts/generate-protos.mjs", tool("protos", "controlplane/gen/a.ts"));
  const compiler = `${tool("filter", "build/traffic.wasm")}for (const name of ["try", "trapping"]) writeFileSync(\`build/\${name}.wasm\`, "made");`;
  await file("node_modules/assemblyscript/bin/asc.js", compiler);
  await file("node_modules/typescript/bin/tsc", tool("controlplane", "dist/controlplane/cli/main.js"));
  await file("node_modules/typescript/package.json", `{ "type": "module" }`);
  await file("dist/controlplane/agent/envoy-binary.js", FINDS_ENVOY);
  await file("filters/traffic.ts", "// a filter");
  await file(
    "npm.mjs",
    `${tool("npm", "node_modules/.package-lock.json")}
    writeFileSync("node_modules/.package-lock.json", ${JSON.stringify(JSON.stringify(LOCK))});
    appendFileSync("calls", process.argv.slice(2).join(" ") + "\\n");`,
  );
  return {
    root,
    file,
    calls: async () => (await readFile(join(root, "calls"), "utf8").catch(() => "")).split("\n").filter(Boolean),
    run: (script: string, ...args: string[]) => runScript(root, script, args),
  };
}

async function runScript(root: string, script: string, args: readonly string[]) {
  const child = spawn(process.execPath, [join("scripts", script), ...args], {
    cwd: root,
    env: { ...process.env, npm_execpath: join(root, "npm.mjs") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(child, "close");
  return { code: code as number, stdout, stderr };
}

test("The first run does every step, and the second finds all of it done", async () => {
  const { run, calls } = await standIn();
  const first = await run("setup.mjs");
  expect(first).toMatchObject({ code: 0, stderr: expect.stringContaining("Envoy 1.40.0: /somewhere/envoy") });
  expect(await calls()).toEqual(["protos", "filter", "filter", "filter", "controlplane"]);
  expect((await run("setup.mjs")).code).toBe(0);
  expect(await calls()).toEqual(["protos", "filter", "filter", "filter", "controlplane"]);
});

test("Missing or outdated dependencies are installed from the lockfile, without their install scripts", async () => {
  const { root, run, calls } = await standIn();
  await rm(join(root, "node_modules/.package-lock.json"));
  expect((await run("setup.mjs")).code).toBe(0);
  expect((await calls()).slice(0, 2)).toEqual(["npm", expect.stringMatching(/^ci .*--ignore-scripts/)]);

  const outdated = { packages: { "node_modules/a": { integrity: "sha512-older" } } };
  await writeFile(join(root, "node_modules/.package-lock.json"), JSON.stringify(outdated));
  await run("setup.mjs");
  expect((await calls()).filter((call) => call === "npm")).toHaveLength(2);
});

test("A changed source repeats its own step alone, and so does a missing result", async () => {
  const { root, run, calls } = await standIn();
  await run("setup.mjs");
  await appendFile(join(root, "filters/traffic.ts"), "// changed");
  await run("setup.mjs");
  expect((await calls()).slice(5)).toEqual(["filter", "filter", "filter"]);
  await rm(join(root, "controlplane/gen"), { recursive: true });
  await run("setup.mjs");
  expect((await calls()).slice(8)).toEqual(["protos"]);
});

test("A step that fails shows the tool's words, is repeated next time, and ends with exit code 1", async () => {
  const { file, run } = await standIn();
  await file("node_modules/typescript/bin/tsc", `console.error("a.ts(1,2): error TS1: no"); process.exit(2);`);
  const failed = await run("setup.mjs");
  expect(failed.code).toBe(1);
  expect(failed.stderr).toMatch(/typescript\/bin\/tsc -p \. failed:\s+a\.ts\(1,2\): error TS1: no/);
  expect(failed.stderr).not.toMatch(/at .*steps\.mjs/);
  expect((await run("setup.mjs")).code).toBe(1);
});

test("npm without a network is told apart", async () => {
  const { root, file, run } = await standIn();
  await rm(join(root, "node_modules/.package-lock.json"));
  await file("npm.mjs", `console.error("npm error code ENOTFOUND"); process.exit(1);`);
  const failed = await run("setup.mjs");
  expect(failed.code).toBe(1);
  expect(failed.stderr).toMatch(/cannot reach its registry: check the network/);
});

test("Without an Envoy, set-up ends with what to do about it", async () => {
  const { file, run } = await standIn();
  await file(
    "dist/controlplane/agent/envoy-binary.js",
    `export const findEnvoy = async () => ({ error: "Do this." });`,
  );
  expect(await run("setup.mjs")).toMatchObject({ code: 1, stderr: expect.stringContaining("Headgate: Do this.") });
});

test("A Node.js that is too old is refused before anything else", async () => {
  const { file, run, calls } = await standIn();
  await file(
    "old.mjs",
    `Object.defineProperty(process.versions, "node", { value: "20.18.3" });
    const { setup } = await import("./scripts/setup.mjs");
    await setup().catch((error) => console.error(error.message));`,
  );
  expect((await run("../old.mjs")).stderr).toContain("this is Node.js 20.18.3; install 20.19 or later");
  expect(await calls()).toEqual([]);
});

const RESULTS = (passed: number, failed: number, broken: number) => ({
  numPassedTests: passed,
  numFailedTests: failed,
  testResults: Array.from({ length: broken }, () => ({ status: "failed", assertionResults: [] })),
});

test.each([
  ["all passed", RESULTS(7, 0, 0), 0, "7 passed, 0 failed", 0],
  ["some failed", RESULTS(5, 2, 0), 1, "5 passed, 2 failed", 1],
  ["a file could not be loaded", RESULTS(5, 0, 1), 1, "5 passed, 1 failed", 1],
  ["vitest failed though no test did", RESULTS(5, 0, 0), 1, "5 passed, 1 failed", 1],
  ["no test ran", RESULTS(0, 0, 0), 0, "0 passed, 0 failed", 1],
])("The last line of npm test counts the tests when %s", async (_when, results, exit, line, code) => {
  const { file, run } = await standIn();
  await file(
    "node_modules/vitest/vitest.mjs",
    `import { writeFileSync } from "node:fs";
    const file = process.argv.find((word) => word.startsWith("--outputFile.json=")).split("=")[1];
    writeFileSync(file, ${JSON.stringify(JSON.stringify(results))});
    console.log("a reporter's summary", process.argv.at(-1));
    process.exit(${exit});`,
  );
  const ran = await run("test.mjs", "test/agent");
  expect(ran.stdout.trimEnd().split("\n").at(-1)).toBe(line);
  expect(ran.stdout).toContain("a reporter's summary test/agent");
  expect(ran.code).toBe(code);
});

test("A vitest that crashes counts as a failure", async () => {
  const { file, run } = await standIn();
  await file("node_modules/vitest/vitest.mjs", "process.exit(3);");
  expect(await run("test.mjs")).toMatchObject({ code: 1, stdout: "0 passed, 1 failed\n" });
});
