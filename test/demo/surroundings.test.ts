// What the demo puts around the Envoys: addresses, names, and a directory of its own.
import { Resolver } from "node:dns/promises";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { lockDirectory } from "../../controlplane/cli/demo/directory-lock.js";
import { startDns } from "../../controlplane/cli/demo/dns.js";
import { claimNetwork } from "../../controlplane/cli/demo/network.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();

test("Two demos get two networks, and a network is free again once it is closed", async () => {
  const [first, second] = [await claimNetwork(), await claimNetwork()];
  expect(first.address(7)).toMatch(/^127\.0\.\d+\.7$/);
  expect(second.address(7)).not.toBe(first.address(7));
  first.close();
  const third = scope.use(await claimNetwork());
  expect(third.address(7)).not.toBe(second.address(7));
  second.close();
});

test("The DNS server answers its own names with their address alone", async () => {
  const { address } = scope.use(await startDns("127.0.0.1", { "ext-svc.example.com": "127.0.16.80" }));
  const resolver = new Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers([`${address.host}:${address.port}`]);
  expect(await resolver.resolve4("ext-svc.example.com")).toEqual(["127.0.16.80"]);
  expect(await resolver.resolve4("EXT-SVC.example.com")).toEqual(["127.0.16.80"]);
  await expect(resolver.resolve6("ext-svc.example.com")).rejects.toMatchObject({ code: "ENODATA" });
  await expect(resolver.resolve4("no-such-name.invalid")).rejects.toMatchObject({ code: "ENOTFOUND" });
});

test("A directory is one demo's at a time, unless its holder is gone", async () => {
  const directory = await scope.directory();
  await writeFile(join(directory, "demo.pid"), String(process.ppid));
  expect(await lockDirectory(directory)).toMatchObject({ error: expect.stringContaining(`pid ${process.ppid}`) });
  // Larger than any process id of Linux or macOS.
  await writeFile(join(directory, "demo.pid"), "99999999");
  const lock = await lockDirectory(directory);
  if ("error" in lock) throw new Error(lock.error);
  await lock.value();
  expect(await lockDirectory(directory)).toHaveProperty("value");
});
