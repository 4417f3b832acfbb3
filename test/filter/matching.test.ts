// The filter in a real Envoy: which rule a request matches.
import { beforeAll, expect, test } from "vitest";
import { type Asked, ask } from "../harness/client.js";
import { testScope } from "../harness/scope.js";
import {
  exact,
  match,
  prefix,
  present,
  rule,
  ruledHost,
  startTrafficEnvoy,
  type TrafficEnvoy,
} from "./traffic-envoy.js";

const scope = testScope();
let envoy: TrafficEnvoy;

beforeAll(async () => {
  envoy = await startTrafficEnvoy(scope, [
    ruledHost(
      "all",
      ["*"],
      [
        rule("jason", match({ headers: new Map([["end-user", exact("jason")]]) })),
        rule("two", match({ headers: new Map([["x-tag", exact("a,b")]]) })),
        rule("admin", match({ uri: prefix("/admin") })),
        rule("post", match({ uri: exact("/login"), method: exact("POST") })),
        rule("lower", match({ uri: exact("/CASE"), ignoreUriCase: true })),
        rule(
          "debug",
          match({ queryParams: new Map([["debug", present]]), withoutHeaders: new Map([["x-no", present]]) }),
        ),
        rule("ten", match({ queryParams: new Map([["n", exact("10")]]) })),
        rule("host", match({ authority: exact("Other.example.com:8080") })),
        rule("rest"),
      ],
    ),
  ]);
});

async function routeOf(path: string, headers: NonNullable<Asked["headers"]> = {}, method = "GET"): Promise<string> {
  return (await ask(envoy.url + path, { headers, method })).body;
}

test("A header picks a rule, and only its exact value does", async () => {
  expect(await routeOf("/", { "end-user": "jason" })).toBe("jason");
  expect(await routeOf("/", { "end-user": "Jason" })).toBe("rest");
  expect(await routeOf("/")).toBe("rest");
});

test("A header that comes twice matches with either value, and with no two joined", async () => {
  expect(await routeOf("/", { "x-tag": ["a", "b"] })).toBe("rest");
  expect(await routeOf("/", { "x-tag": ["c", "a,b"] })).toBe("two");
  expect(await routeOf("/", { "end-user": ["anna", "jason"] })).toBe("jason");
  expect(await routeOf("/?debug", { "x-no": ["", ""] })).toBe("rest");
});

test("No spelling of a path walks around a rule", async () => {
  for (const path of ["/admin", "//admin", "/%61dmin", "/x/../admin", "/x/%2e%2e/admin/a", "/admin?x=1"])
    expect(await routeOf(path), path).toBe("admin");
  expect(await routeOf("/x?/admin")).toBe("rest");
});

test("All conditions of an alternative must hold", async () => {
  expect(await routeOf("/login", {}, "POST")).toBe("post");
  expect(await routeOf("/login")).toBe("rest");
  expect(await routeOf("/loginx", {}, "POST")).toBe("rest");
});

test("A path is compared without case where the rule says so", async () => {
  expect(await routeOf("/cAsE?q")).toBe("lower");
});

test("Query parameters are found by presence and by value, and a header can exclude", async () => {
  expect(await routeOf("/?debug")).toBe("debug");
  expect(await routeOf("/?a=1&debug=0")).toBe("debug");
  expect(await routeOf("/?debug", { "x-no": "" })).toBe("rest");
  expect(await routeOf("/?n=10&n=11")).toBe("ten");
  expect(await routeOf("/?n=11&n=10")).toBe("rest");
});

test("A host is compared without case, port and trailing dot", async () => {
  for (const host of ["other.example.com", "OTHER.example.com:1234", "other.example.com."])
    expect(await routeOf("/", { host }), host).toBe("host");
});

test("No request header names a route", async () => {
  expect(await routeOf("/", { "x-headgate-route": "jason", "wasm.route": "jason", route: "jason" })).toBe("rest");
});
