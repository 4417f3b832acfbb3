// One log of the agent and its Envoy: levels and components are told apart, and every line is whole.
import { expect, test } from "vitest";
import { envoyLogReader, formatLine } from "../../controlplane/agent/log.js";
import { readLogSettings } from "../../controlplane/cli/proxy-log.js";
import { freePort } from "../harness/addresses.js";
import { testEnvoyBinary } from "../harness/envoy.js";
import { allGone, descendants, runHeadgate } from "../harness/headgate.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

test("Envoy's lines have their level and component, and what begins no line goes on with the one before", () => {
  const read = envoyLogReader();
  expect(read("before any line")).toEqual({ level: "info", component: "envoy", message: "before any line" });
  expect(read("[2026-11-24 10:00:00.123][42][critical][backtrace] [./source/server/x.h:127] #0: [0x1]")).toEqual({
    level: "critical",
    component: "envoy/backtrace",
    message: "#0: [0x1]",
  });
  expect(read("  a second line")).toMatchObject({ level: "critical", message: "  a second line" });
  expect(read("[2026-11-24 10:00:00.123][42][warning][wasm] said: [x] y")).toMatchObject({ message: "said: [x] y" });
});

test("A line is text or JSON", () => {
  const line = { level: "warning", component: "agent", message: 'two\n"lines"' } as const;
  const time = new Date(0);
  expect(formatLine({ ...line, message: "one" }, "text", time)).toBe("1970-01-01T00:00:00.000Z warning agent: one\n");
  expect(JSON.parse(formatLine(line, "json", time))).toEqual({ time: "1970-01-01T00:00:00.000Z", ...line });
  expect(formatLine(line, "json", time).indexOf("\n")).toBe(formatLine(line, "json", time).length - 1);
});

test("--component-log-level is checked before the start", () => {
  expect(readLogSettings({ componentLogLevel: "upstream:debug,config:off" })).toMatchObject({
    value: { components: "upstream:debug,config:off" },
  });
  for (const wrong of ["upstream", "upstream:loud", "upstream=debug", ""]) {
    expect(readLogSettings({ componentLogLevel: wrong }), wrong).toHaveProperty("error");
  }
});

test("headgate proxy logs as JSON what its Envoy says, by the levels that its components were given", async () => {
  const proxy = runHeadgate(scope, [
    ...["proxy", "--ip", "127.0.0.1", "--ads", `127.0.0.1:${await freePort()}`, "--admin", "127.0.0.1:0"],
    ...["--concurrency", "1", "--envoy", await testEnvoyBinary()],
    ...["--log-format", "json", "--log-level", "error", "--component-log-level", "main:info"],
  ]);
  const lines = () => {
    const whole = proxy.stderr().split("\n").slice(0, -1);
    return whole.map((line) => JSON.parse(line) as Record<"time" | "level" | "component" | "message", string>);
  };
  await eventually("Envoy runs", () => lines().some(({ message }) => message.includes("starting main dispatch loop")));
  expect(lines()).toContainEqual(
    expect.objectContaining({ level: "info", component: "agent", message: expect.stringMatching(/^started Envoy/) }),
  );
  const others = lines().filter(({ component }) => component !== "agent" && component !== "envoy/main");
  expect(others.filter(({ level }) => level !== "error" && level !== "critical")).toEqual([]);
  const processes = descendants(proxy.pid);
  proxy.child.kill("SIGTERM");
  expect(await proxy.exited).toEqual({ code: 0, signal: null });
  await allGone(processes);
});
