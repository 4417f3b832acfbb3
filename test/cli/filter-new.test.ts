// `headgate filter new`, as people use it: from nothing to a filter that real Envoys run, and on to its next version.
import { execFile } from "node:child_process";
import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { startTestMesh } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
const run = promisify(execFile);
const headgate = join(process.cwd(), "bin", "headgate.mjs");

it("A new project's filter is tested, goes live in Envoys, and its next version takes its place", async () => {
  const directory = await scope.directory();
  const filters = join(directory, "filters");
  const mesh = await startTestMesh(scope, { filters });
  const backend = await startBackend(scope, "a");
  await mesh.apply("service.yaml", SERVICE(backend.port));
  const proxies = [await mesh.startProxy({ name: "one" }), await mesh.startProxy({ name: "two" })];

  const create = ["filter", "new", "greeter", "--filters", filters, "--policies", mesh.directory];
  await run(process.execPath, [headgate, ...create], { cwd: directory });
  const project = join(directory, "greeter");
  const settings = JSON.parse(await readFile(join(project, "headgate.json"), "utf8"));
  await writeFile(join(project, "headgate.json"), JSON.stringify({ ...settings, hold: "3s" }));
  // In place of npm install, which gets the same packages.
  await symlink(join(process.cwd(), "node_modules"), join(project, "node_modules"));
  const { stdout } = await run("npm", ["run", "go-live"], { cwd: project }).catch((error) => {
    throw new Error(`${error.stdout}${error.stderr}`);
  });
  expect(stdout).toMatch(/# pass 4[\s\S]*greeter@1\.0\.0-[0-9a-f]{8} goes live/);

  const greetings = () =>
    Promise.all(
      proxies.map(async ({ address }) => {
        const { headers } = await ask(`http://${address}:9080/`, { headers: { host: "a.example.com" } });
        return headers["x-greeting"];
      }),
    );
  const all = async () => {
    const seen = await greetings();
    if (seen.every((greeting) => greeting === "good day")) return true;
    throw new Error(`they say ${seen}; ${JSON.stringify((await mesh.filters()).rollouts)}`);
  };
  await eventually("all Envoys run it", all, 45_000);
  expect((await ask(`http://${proxies[0]?.address}:9080/`, { headers: MALLORY })).status).toBe(403);
  expect(await mesh.violations()).toEqual([]);
  await eventually("its rollout ends", async () => (await mesh.filters()).rollouts[0]?.state?.phase === "completed");

  const source = join(project, "assembly", "filter.ts");
  const text = await readFile(source, "utf8");
  await writeFile(
    source,
    text.replace('setResponseHeader("x-greeting", greeting)', 'setResponseHeader("x-greeting", greeting + "!")'),
  );
  await run("npm", ["run", "build"], { cwd: project });
  await run(process.execPath, ["go-live.mjs"], { cwd: project });
  await eventually("half of them run the next one", async () => {
    const seen = (await greetings()).sort();
    return seen[0] === "good day" && seen[1] === "good day!";
  });
  await eventually("all run the next one", async () =>
    (await greetings()).every((greeting) => greeting === "good day!"),
  );
  const [view] = (await mesh.filters()).others;
  expect(view).toMatchObject({ filter: "greeter", proxies: [{ assigned: expect.stringMatching(/^1\.0\.0-/) }, {}] });
}, 240_000);

it("A name that is none, or that is taken, is refused", async () => {
  const cwd = await scope.directory();
  const attempt = (name: string) =>
    run(process.execPath, [headgate, "filter", "new", name], { cwd }).then(
      () => "0",
      (error: { code: number; stderr: string }) => `${error.code} ${error.stderr}`,
    );
  expect(await attempt("Not_A_Name")).toMatch(/^64 .*no name/);
  expect(await attempt("headgate.mine")).toMatch(/^64 /);
  expect(await attempt("mine")).toBe("0");
  expect(await attempt("mine")).toMatch(/^64 .*there already/);
});

const MALLORY = { host: "a.example.com", "x-user": "mallory" };

const SERVICE = (port: number) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.example.com]
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP, targetPort: ${port}}]
  endpoints: [{address: 127.0.0.1}]
`;
