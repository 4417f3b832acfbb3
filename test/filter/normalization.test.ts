// What the Node host makes of a request before the filter sees it, against what a real Envoy makes of it.
import { beforeAll, expect, test } from "vitest";
import { headersInEnvoy } from "../../controlplane/wasm-host/request.js";
import { testScope } from "../harness/scope.js";
import { sendRaw } from "./raw-request.js";
import { startTrafficEnvoy, type TrafficEnvoy } from "./traffic-envoy.js";

const scope = testScope();
let envoy: TrafficEnvoy;

beforeAll(async () => {
  const header = (key: string, value: string) => ({ header: { key, value } });
  envoy = await startTrafficEnvoy(scope, [
    {
      name: "all",
      domains: ["*"],
      routes: [
        {
          match: { prefix: "/" },
          direct_response: { status: 200 },
          response_headers_to_add: [header("x-path", "%REQ(:PATH)%"), header("x-host", "%REQ(:AUTHORITY)%")],
        },
      ],
    },
  ]);
});

interface Seen {
  readonly status: number;
  readonly path: string | undefined;
  readonly host: string | undefined;
  readonly location: string | undefined;
}

async function send(path: string, host = "a.example"): Promise<Seen> {
  const answer = await sendRaw(envoy.url, "GET", path, [["Host", host]]);
  return {
    status: answer.status,
    path: answer.field("x-path"),
    host: answer.field("x-host"),
    location: answer.field("location"),
  };
}

async function expectSamePath(path: string): Promise<void> {
  const ours = headersInEnvoy({ method: "GET", scheme: "http", authority: "a.example", path, headers: [] });
  const { status, path: seen, location } = await send(path);
  if ("error" in ours) expect.soft({ path, status }).toEqual({ path, status: 400 });
  else if (ours.redirected)
    expect.soft({ path, status, location: location?.replace(/^http:\/\/[^/]+/, "") }).toEqual({
      path,
      status: 307,
      location: ours.path,
    });
  else expect.soft({ path, status, seen }).toEqual({ path, status: 200, seen: ours.path });
}

test("Paths with dots, slashes and escapes come out as in Envoy", async () => {
  for (const path of [
    "/",
    "/a",
    "/a/",
    "//",
    "///",
    "//a",
    "/a//b",
    "/a//",
    "//a//b///c//",
    "/.",
    "/..",
    "/./",
    "/../",
    "/a/.",
    "/a/..",
    "/a/./b",
    "/a/../b",
    "/a/b/../../c",
    "/../../a",
    "/a/..b",
    "/a/.b",
    "/a/b.",
    "/a/b..",
    "/a...",
    "/...",
    "/%2e",
    "/%2E%2e/a",
    "/x/%2e%2E/admin",
    "/.%2e/a",
    "/%2e./a",
    "/a%2eb",
    "/%61dmin",
    "/%41",
    "/%7e",
    "/%2f",
    "/%2Fadmin",
    "/a%2fb",
    "/a%5cb",
    "/a%5C..%5cb",
    "/a\\b",
    "/a\\..\\b",
    "/a%2f%2e%2e%2fb",
    "/%25",
    "/%2525",
    "/%zz",
    "/%",
    "/%4",
    "/%00",
    "/%01",
    "/%0a",
    "/%20",
    "/%c3%a9",
    "/%C3%A9",
    "/a?b=//c/../d%2f",
    "/a?",
    "/?a",
    "/a%3fb",
    "/a%23b",
    "/a;b=c/d",
    "/a//../b",
    "/a/..//b",
    "/a/.//b",
    "//../a",
    "/a/%2e%2e//b",
  ])
    await expectSamePath(path);
});

test("Each character of a path, plain and escaped, comes out as in Envoy", async () => {
  for (let byte = 0x21; byte < 0x7f; byte++) {
    const character = String.fromCharCode(byte);
    if (!"?#".includes(character)) await expectSamePath(`/x${character}y`);
    await expectSamePath(`/x%${byte.toString(16).padStart(2, "0")}y`);
  }
});

test("A host loses its port and trailing dot as in Envoy", async () => {
  for (const host of [
    "a.example",
    "a.example:80",
    "a.example:",
    "a.example.",
    "a.example.:8080",
    "A.Example",
    "[::1]",
    "[::1]:80",
    "10.0.0.1:1",
  ]) {
    const ours = headersInEnvoy({ method: "GET", scheme: "http", authority: host, path: "/", headers: [] });
    const expected = "error" in ours ? undefined : ours.headers.find(([name]) => name === ":authority")?.[1];
    expect.soft({ host, seen: (await send("/", host)).host }).toEqual({ host, seen: expected });
  }
});
