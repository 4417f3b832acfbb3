// What `headgate` says to words that are not quite right: what is wrong, and what to write.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { headgate } from "../harness/command.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();

test("Its version is the package's", async () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  expect(await headgate("--version")).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

test("A command without its argument points to the help, in which paragraphs are as wide as the terminal", async () => {
  const missing = await headgate("validate");
  expect(missing).toMatchObject({ code: 64, stderr: expect.stringContaining("(add --help for what there is)") });
  const help = await headgate("serve", "--help");
  expect(help.stdout).toContain("and keeps the proxies that connect up to date. Prints");
});

test("A directory that is not there, and an admin that is no address, are usage errors", async () => {
  const nowhere = join(await scope.directory(), "nowhere");
  const [serve, status] = await Promise.all([
    headgate("serve", "--config", nowhere),
    headgate("status", "--admin", "http://127.0.0.1:15014"),
  ]);
  const told = `headgate serve: --config ${nowhere} is no directory: it does not exist\n`;
  expect([serve.code, serve.stderr]).toEqual([64, told]);
  expect([status.code, status.stderr]).toEqual([64, expect.stringContaining("write HOST:PORT")]);
});
