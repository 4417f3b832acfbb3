// `headgate validate` and `headgate analyze` as a person runs them: what they print, and how they exit.
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { headgate } from "../harness/command.js";
import { runHeadgate } from "../harness/headgate.js";
import { httpService, virtualService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { writeFiles } from "./support/served.js";

const scope = testScope();
let directory: string;

const GOOD = httpService("reviews", { v1: { port: 1001 } });
/** The subset is not there, which only shows beside the DestinationRule. */
const DANGLING = virtualService("reviews", "  - route: [{destination: {host: reviews, subset: v9}}]\n");
const BAD = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings}
spec:
  hosts: [ratings]
  http:
  - timeout: soon
    route: [{destination: {host: ratings}}]
`;

beforeAll(async () => {
  directory = await scope.directory();
  await writeFiles(join(directory, "good"), { "good.yaml": GOOD });
  await writeFiles(join(directory, "bad"), { "bad.yaml": BAD, "good.yaml": GOOD });
  await writeFiles(join(directory, "dangling"), { "good.yaml": GOOD, "rule.yaml": DANGLING });
});

const run = (command: string, place: string, ...flags: string[]) => headgate(command, join(directory, place), ...flags);

describe("headgate validate", () => {
  test("exits with 0 when each object is right by itself, whatever they are together", async () => {
    const told = "3 objects, 0 errors, 0 warnings\n";
    expect(await run("validate", "dangling")).toMatchObject({ code: 0, stdout: told });
    const process = runHeadgate(scope, ["validate", join(directory, "dangling")]);
    expect([(await process.exited).code, process.stdout()]).toEqual([0, told]);
  });

  test("exits with 65, and tells file, line, column, path, code and what to write", async () => {
    const { code, stdout } = await run("validate", "bad");
    expect(code).toBe(65);
    expect(stdout).toContain(`${join(directory, "bad", "bad.yaml")}:7:5`);
    expect(stdout).toContain("spec.http[0].timeout");
    expect(stdout).toContain("invalid-duration");
    expect(stdout).toContain("3 objects, 1 error, 0 warnings");
    const json = JSON.parse((await run("validate", "bad", "-o", "json")).stdout);
    expect(json).toMatchObject({
      objects: 3,
      violations: [{ code: "invalid-duration", severity: "error", path: "spec.http[0].timeout", line: 7, column: 5 }],
    });
  });

  test("exits with 65 for a file that is not there, and with 64 without one", async () => {
    expect(await run("validate", "nowhere")).toMatchObject({
      code: 65,
      stdout: expect.stringContaining("file-unreadable"),
    });
    expect((await headgate("validate")).code).toBe(64);
  });
});

describe("headgate analyze", () => {
  test("tells what is wrong between objects, and fails on the severity that is asked for", async () => {
    const found = await run("analyze", "dangling");
    expect(found.code).toBe(0);
    expect(found.stdout).toMatch(/unknown-subset +VirtualService default\/reviews +\S+rule\.yaml:\d+:\d+/);
    expect((await run("analyze", "dangling", "--fail-on", "warning")).code).toBe(65);
    expect((await run("analyze", "bad")).code).toBe(65);
    expect((await run("analyze", "bad", "--fail-on", "never")).code).toBe(0);
    const json = JSON.parse((await run("analyze", "dangling", "-o", "json")).stdout);
    expect(json).toMatchObject({
      violations: [{ code: "unknown-subset", path: "spec.http[0].route[0].destination.subset" }],
    });
  });

  test("takes files and directories together, and says so when there is nothing to tell", async () => {
    expect(await run("analyze", "good", "--fail-on", "warning")).toMatchObject({ code: 0 });
    const both = await run("analyze", "good", join(directory, "dangling", "rule.yaml"), "-o", "json");
    expect(JSON.parse(both.stdout).violations).toHaveLength(1);
  });
});
