// The demo's page in a real browser, by way of the gateway: what a person sees is what the policy says.
import { existsSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";
import { expect, test } from "vitest";
import { startDemo } from "../harness/headgate.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
/** Debian's and other Linux distributions' own; CI installs it. */
const browser = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) =>
  existsSync(path),
);

async function openPage(url: string): Promise<Page> {
  const running = await chromium.launch({ executablePath: browser as string, args: ["--no-sandbox"] });
  scope.use(running);
  const page = await running.newPage();
  page.on("pageerror", (error) => {
    throw error;
  });
  await page.goto(url);
  return page;
}

test.skipIf(!browser)("Jason sees black stars, everyone else red ones, and an edit shows on reload", async () => {
  const directory = await scope.directory();
  const { page: url } = await startDemo(scope, directory);
  const page = await openPage(url);
  const stars = () => page.locator("#reviews .stars").first().getAttribute("class");

  expect(await page.title()).toBe("The Comedy of Errors");
  expect(await page.locator("#version").innerText()).toBe("served by reviews v3");
  expect(await stars()).toBe("stars red");

  await page.getByLabel("Name").fill("jason");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("#user").waitFor();
  expect(await page.locator("#user").innerText()).toBe("jason");
  expect(await page.locator("#version").innerText()).toBe("served by reviews v2");
  expect(await stars()).toBe("stars black");

  await page.getByRole("link", { name: "sign out" }).click();
  await page.getByLabel("Name").waitFor();
  expect(await stars()).toBe("stars red");

  await copyFile("examples/policies/09-reviews-to-v1.yaml", join(directory, "policies", "reviews.yaml"));
  await expect
    .poll(
      async () => {
        await page.reload();
        return page.locator("#version").innerText();
      },
      { timeout: 60_000 },
    )
    .toBe("served by reviews v1");
  expect(await page.locator("#reviews .stars").count()).toBe(0);
});
