// The bookinfo services, with a backend in the place of their sidecar that shows what they ask for.
import { expect, test } from "vitest";
import { type Program, startProgram } from "../../controlplane/cli/demo/programs.js";
import { type Backend, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { type Scope, testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

interface Addresses {
  readonly listen: string;
  readonly control: string;
}

async function start(within: Scope, service: string, version: string, sidecar?: Backend): Promise<Addresses> {
  const outbound = sidecar ? `${sidecar.host}:${sidecar.port}` : "127.0.0.1:9";
  const args = ["--version", version, "--outbound", outbound];
  const program: Program<Addresses> = await startProgram(["dist", "examples", "bookinfo", `${service}.js`], args);
  within.use({ close: () => program.stop() });
  return program.hello;
}

async function ratingsInPlaceOfSidecar(): Promise<Backend> {
  const sidecar = await startBackend(scope, "sidecar");
  sidecar.behave(() => ({ status: 200, body: JSON.stringify({ ratings: { Reviewer1: 5, Reviewer2: 4 } }) }));
  return sidecar;
}

test("Reviews v1 has no stars and asks nobody; v2 has black ones and v3 red ones, from ratings", async () => {
  const sidecar = await ratingsInPlaceOfSidecar();
  for (const [version, rating] of [
    ["v1", undefined],
    ["v2", { stars: 5, color: "black" }],
    ["v3", { stars: 5, color: "red" }],
  ] as const) {
    const { listen } = await start(scope, "reviews", version, sidecar);
    const answer = JSON.parse((await ask(`http://${listen}/reviews/7`)).body);
    expect(answer).toMatchObject({ id: 7, version });
    expect(answer.reviews[0].rating).toEqual(rating);
  }
  expect(sidecar.requests.map(({ path, headers }) => [path, headers.host])).toEqual([
    ["/ratings/7", "ratings:9080"],
    ["/ratings/7", "ratings:9080"],
  ]);
});

test("Headers that belong to the chain of calls travel on, and no others do", async () => {
  const sidecar = await ratingsInPlaceOfSidecar();
  const { listen } = await start(scope, "reviews", "v2", sidecar);
  const travelling = { "end-user": "jason", "x-request-id": "r-1", traceparent: "00-a-b-01" };
  await ask(`http://${listen}/reviews/0`, { headers: { ...travelling, "x-other": "stays", cookie: "c=1" } });
  expect(sidecar.requests[0]?.headers).toMatchObject(travelling);
  expect(sidecar.requests[0]?.headers).not.toHaveProperty("x-other");
  expect(sidecar.requests[0]?.headers).not.toHaveProperty("cookie");
});

test("Reviews without ratings says so in place of the stars", async () => {
  const sidecar = await startBackend(scope, "sidecar");
  sidecar.behave(() => ({ status: 503 }));
  const { listen } = await start(scope, "reviews", "v3", sidecar);
  const answer = JSON.parse((await ask(`http://${listen}/reviews/0`)).body);
  expect(answer.reviews[1].rating).toEqual({ error: expect.stringContaining("not available") });
});

test("Whoever signs in on the page is the end user of every call; signing out ends that", async () => {
  const sidecar = await startBackend(scope, "sidecar");
  sidecar.behave(({ path }) =>
    path.startsWith("/reviews")
      ? {
          status: 200,
          body: JSON.stringify({ version: "v9", reviews: [{ reviewer: "<b>", text: "&", rating: { stars: 2 } }] }),
        }
      : { status: 503 },
  );
  const { listen } = await start(scope, "productpage", "v1", sidecar);
  const url = `http://${listen}`;
  const signedIn = await ask(`${url}/login`, { method: "POST", body: "user=jason" });
  expect(signedIn).toMatchObject({ status: 303, headers: { location: "/productpage" } });
  const cookie = signedIn.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";

  const page = await ask(`${url}/productpage`, { headers: { cookie } });

  expect(sidecar.requests.map((request) => request.headers["end-user"])).toEqual(["jason", "jason"]);
  expect(page.body).toContain("served by reviews v9");
  expect(page.body).toContain("2 of 5 stars");
  expect(page.body).toContain("Book details are not available");
  expect(page.body).not.toContain("<b>");
  await ask(`${url}/productpage`);
  expect(sidecar.requests.at(-1)?.headers).not.toHaveProperty("end-user");
  expect((await ask(`${url}/logout`)).headers["set-cookie"]?.[0]).toContain("Max-Age=0");
  await ask(`${url}/productpage`, { headers: { cookie: "bookinfo-user=%00%" } });
  expect(sidecar.requests.at(-1)?.headers).not.toHaveProperty("end-user");
});

test("A service fails, stalls and breaks off by path as its back door is told, and counts what came", async () => {
  const { listen, control } = await start(scope, "ratings", "v1");
  const put = (rules: object) => ask(`http://${control}/`, { method: "PUT", body: JSON.stringify(rules) });
  const received = async () => JSON.parse((await ask(`http://${control}/`)).body);
  await put({ "/ratings/1": 503, "/ratings/2": "stall", "/ratings/3": "half" });
  const stalled = ask(`http://${listen}/ratings/2`).catch((error: Error) => error);
  const half = ask(`http://${listen}/ratings/3`);
  expect((await ask(`http://${listen}/ratings/1`)).status).toBe(503);
  expect((await ask(`http://${listen}/ratings/4`)).status).toBe(200);
  await eventually("two requests stall", async () => (await received()).stalled === 2);
  expect((await received()).requests).toEqual({ "/ratings/1": 1, "/ratings/2": 1, "/ratings/3": 1, "/ratings/4": 1 });
  await put({});
  expect(await stalled).toBeInstanceOf(Error);
  expect(await half).toMatchObject({ status: 200, complete: false });
  expect((await ask(`http://${listen}/ratings/1`)).status).toBe(200);
});
