// The admin's HTTP: read-only, for direct callers, on loopback unless asked otherwise, and sturdy.
import { request } from "node:http";
import { expect, test } from "vitest";
import { type AdminOptions, createAdmin } from "../../controlplane/admin/server.js";
import { buildMesh } from "../../controlplane/mesh/mesh.js";
import { Revisions } from "../../controlplane/publish/revisions.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
const faults: unknown[] = [];

async function start(options: Partial<AdminOptions> = {}): Promise<string> {
  const admin = scope.use(
    createAdmin({
      publisher: { mesh: buildMesh([], { rootNamespace: "istio-system" }), proxies: new Map() },
      revisions: new Revisions(),
      violations: () => [],
      statuses: () => [],
      onFault: (_, error) => faults.push(error),
      ...options,
    }),
  );
  return admin.listen("127.0.0.1:0");
}

function ask(address: string, options: { method?: string; path?: string; host?: string } = {}) {
  const [hostname, port] = address.split(":");
  const { method = "GET", path = "/healthz", host } = options;
  return new Promise<{ code: number | undefined; type: string | undefined; body: unknown }>((resolve, reject) => {
    const sent = request({ hostname, port, method, path, ...(host ? { headers: { host } } : {}) }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () =>
        resolve({
          code: response.statusCode,
          type: response.headers["content-type"],
          body: text === "" ? "" : JSON.parse(text),
        }),
      );
    });
    sent.on("error", reject);
    sent.end();
  });
}

test("Only GET is served", async () => {
  const address = await start();
  expect(await ask(address)).toMatchObject({ code: 200, body: { status: "ok" } });
  for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
    expect(await ask(address, { method }), method).toMatchObject({ code: 405, body: { error: "only GET is served" } });
  }
  expect((await ask(address, { method: "HEAD" })).code).toBe(405);
});

test("A page that has its own name resolve to the admin's address is turned away", async () => {
  const address = await start();
  for (const host of ["evil.example.org", "evil.example.org:15014", "localhost.evil.example.org", ""]) {
    expect((await ask(address, { host: host || "x" })).code, host).toBe(403);
  }
  for (const host of ["localhost", "localhost:1", "127.0.0.1", "[::1]:15014"]) {
    expect((await ask(address, { host })).code, host).toBe(200);
  }
});

test("Other than loopback addresses are served only where that is allowed", async () => {
  const options = {
    publisher: { mesh: buildMesh([], { rootNamespace: "istio-system" }), proxies: new Map() },
    revisions: new Revisions(),
    violations: () => [],
    statuses: () => [],
  };
  for (const address of ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:0"]) {
    await expect(createAdmin(options).listen(address), address).rejects.toThrow("only loopback addresses are served");
  }
  const open = scope.use(createAdmin({ ...options, allowRemote: true }));
  expect(await open.listen("0.0.0.0:0")).toMatch(/^0\.0\.0\.0:[1-9]/);
});

test("An unknown path says what there is", async () => {
  const address = await start({ filters: () => ({}) });
  expect(await ask(address, { path: "/nothing" })).toMatchObject({
    code: 404,
    body: { error: expect.stringMatching(/\/healthz.*\/filters/) },
  });
});

test("A defect in an answer is a 500 without its reason, is told of, and ends nothing", async () => {
  const address = await start({
    violations: () => {
      throw new Error("secret reason");
    },
  });
  const answer = await ask(address, { path: "/violations" });
  expect(answer).toMatchObject({ code: 500, type: "application/json" });
  expect(JSON.stringify(answer.body)).not.toContain("secret");
  expect(faults).toEqual([new Error("secret reason")]);
  expect((await ask(address)).code).toBe(200);
});
