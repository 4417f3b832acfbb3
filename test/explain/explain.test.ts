// `headgate explain` and `headgate test`, by the words that a person writes: offline, over a directory of policies.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { describeProxy, readMesh, readTrafficFilter } from "../../controlplane/cli/offline.js";
import { runCommand } from "../../controlplane/cli/run-command.js";
import { readRequest } from "../../controlplane/cli/written-request.js";
import { type Explained, explainRequest } from "../../controlplane/explain/explain.js";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { runHeadgate } from "../harness/headgate.js";
import { startTestMesh } from "../harness/mesh.js";
import { httpService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
let directory: string;

const RULES = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{sourceLabels: {app: admin}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - name: testers
    match: [{headers: {end-user: {exact: jason}}}, {uri: {prefix: /beta}}]
    route: [{destination: {host: reviews, subset: v2}}]
    fault: {delay: {fixedDelay: 1s, percentage: {value: 0.5}}}
  - match: [{uri: {exact: /old}}]
    redirect: {uri: /new, redirectCode: 308}
  - match: [{method: {exact: DELETE}}]
    directResponse: {status: 405, body: {string: no}}
  - match: [{uri: {prefix: /}}]
    route:
    - {destination: {host: reviews, subset: v1}, weight: 75}
    - {destination: {host: reviews, subset: v2}, weight: 25}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings, annotations: {headgate.dev/fault-expires: "2030-01-02T00:00:00Z"}}
spec:
  hosts: [ratings]
  http:
  - name: split
    fault: {abort: {httpStatus: 500, percentage: {value: 1}}}
    route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v2}, weight: 10}
---
apiVersion: headgate.dev/v1alpha1
kind: StagedRollout
metadata: {name: ratings}
spec:
  virtualService: ratings
  route: split
  sticky: {cookie: user}
  override: {header: X-Version, values: {canary: v2}}
  ramp:
  - {at: "2030-01-01T00:00:00Z", weights: {v1: 100, v2: 0}}
  - {at: "2030-01-03T00:00:00Z", weights: {v1: 0, v2: 100}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ingress}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.example.com"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, annotations: {headgate.dev/fault-draw: try}}
spec:
  hosts: [shop.example.com]
  gateways: [ingress]
  http: [{match: [{uri: {prefix: /cart}}], fault: {abort: {httpStatus: 503, percentage: {value: 50}}}, route: [{destination: {host: reviews, subset: v1}}]}]
`;

beforeAll(async () => {
  directory = await scope.directory();
  await writeFile(join(directory, "service.yaml"), httpService("reviews", { v1: { port: 1 }, v2: { port: 2 } }));
  await writeFile(join(directory, "rules.yaml"), RULES);
});

/** In this process, where what a command needs is loaded once: most of a short command's time goes into that. */
async function headgate(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr]: [string[], string[]] = [[], []];
  const code = await runCommand(args, {
    stdout: { write: (text) => stdout.push(text) },
    stderr: { write: (text) => stderr.push(text) },
    env: {},
    cwd: process.cwd(),
    signal: new AbortController().signal,
  });
  return { code, stdout: stdout.join(""), stderr: stderr.join("") };
}

async function explain(...args: readonly string[]): Promise<Explained> {
  const { code, stdout, stderr } = await headgate("explain", "--config", directory, "-o", "json", ...args);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

const V1 = "outbound|9080|v1|reviews.default.svc.cluster.local";
const V2 = "outbound|9080|v2|reviews.default.svc.cluster.local";

describe("headgate explain", () => {
  it("names the extensions that a request passes through, in order, and none that are for other traffic", async () => {
    const extended = await scope.directory();
    const plugin = (name: string, spec: string) =>
      `apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: ${name}}\nspec: {url: "headgate://${name}", ${spec}}\n---\n`;
    const plugins = [
      plugin("late", "phase: STATS"),
      plugin("low", "phase: AUTHN"),
      plugin("high", "phase: AUTHN, priority: 5, match: [{mode: CLIENT, ports: [{number: 9080}]}]"),
      plugin("inbound", "phase: AUTHN, priority: 9, match: [{mode: SERVER}]"),
      plugin("port", "match: [{ports: [{number: 1}]}]"),
      plugin("others", "priority: 9, selector: {matchLabels: {app: other}}"),
    ];
    const script = "spec: {phase: AUTHZ, lua: {inlineCode: 'function envoy_on_request(handle) end'}}";
    const lua = `apiVersion: extensions.istio.io/v1alpha1\nkind: TrafficExtension\nmetadata: {name: script}\n${script}\n`;
    await writeFile(join(extended, "extensions.yaml"), plugins.join("") + lua);
    const request = ["--config", extended, "--authority", "reviews", "--port", "9080"];
    const { extensions } = await explain(...request);
    expect(extensions.map(({ name, place }) => `${name} ${place}`)).toEqual([
      "high before",
      "low before",
      "script before",
      "late after",
    ]);
    expect(extensions[0]).toEqual({
      kind: "WasmPlugin",
      namespace: "default",
      name: "high",
      phase: "AUTHN",
      priority: 5,
      place: "before",
      url: "headgate://high",
    });
    const { stdout } = await headgate("explain", "--config", directory, ...request);
    expect(stdout).toContain("before the decision  WasmPlugin default/high (phase AUTHN, priority 5): headgate://high");
    expect(stdout).toContain(
      "before the decision  TrafficExtension default/script (phase AUTHZ, priority 0): a script",
    );
  });

  it("names the rule, its destinations and fault odds, and why no earlier alternative matched", async () => {
    const explained = await explain("--authority", "reviews:9080", "-H", "end-user: jason");
    expect(explained).toMatchObject({
      host: "reviews",
      rule: { kind: "VirtualService", namespace: "default", name: "reviews", index: 1, http: "testers", match: 0 },
      destinations: [{ cluster: V2, weight: 100 }],
      chosen: V2,
      fault: { delayMs: 1000, abortStatus: null, percentage: 0.5 },
      redirect: null,
      directResponse: null,
      rejected: [{ index: 0, match: 0, because: "the source does not have the labels app=admin" }],
    });
  });

  it("takes the proxy's labels into account, and other ways to match", async () => {
    expect((await explain("--authority", "reviews", "--source-label", "app=admin")).rule?.index).toBe(0);
    expect(await explain("--authority", "reviews", "--path", "/x/..//beta/1")).toMatchObject({
      path: "/beta/1",
      rule: { index: 1, match: 1 },
    });
    expect((await explain("--authority", "reviews", "--path", "/old")).redirect).toMatchObject({ redirectCode: 308 });
    const response = await explain("--authority", "reviews", "--method", "DELETE");
    expect(response.directResponse).toEqual({ status: 405, body: "no" });
  });

  it("draws weights by the seed, in their proportion", async () => {
    const first = await explain("--authority", "reviews", "--seed", "7");
    expect(await explain("--authority", "reviews", "--seed", "7")).toEqual(first);
    expect(first.destinations).toEqual([
      { cluster: V1, weight: 75 },
      { cluster: V2, weight: 25 },
    ]);
  });

  it.each([
    ["2029-12-31T00:00:00Z", [100, 0], 500],
    ["2030-01-01T12:00:00Z", [75, 25], 500],
    ["2030-01-02T00:00:00Z", [50, 50], undefined],
    ["2030-01-04T00:00:00Z", [0, 100], undefined],
  ])("gives a ramp's weights and the fault as they are at %s", async (time, weights, abortStatus) => {
    const { destinations, fault } = await explain("--authority", "ratings", "--port", "9080", "--time", time);
    expect(destinations.map(({ weight }) => weight)).toEqual(weights);
    expect(fault?.abortStatus).toBe(abortStatus);
  });

  it("says what pins a request, and else what it is sticky by", async () => {
    const before = ["--authority", "ratings", "--port", "9080", "--time", "2029-12-31T00:00:00Z"];
    const text = async (...args: string[]) =>
      (await headgate("explain", "--config", directory, ...before, ...args)).stdout;
    const pinned = await explain(...before, "-H", "x-version: canary");
    expect([pinned.chosen, pinned.pinned]).toEqual([V2, "header x-version"]);
    expect(await text("-H", "x-version: canary")).toMatch(/^pinned by {4}header x-version$/m);
    const other = await explain(...before, "-H", "x-version: other");
    expect([other.chosen, other.pinned, other.sticky]).toEqual([V1, null, "cookie user"]);
    expect(await text()).toMatch(/^sticky by {4}cookie user$/m);
  });

  it("explains a gateway's request, and says when no rule matches or no host is there", async () => {
    const gateway = ["--gateway", "default/ingress"];
    expect((await explain(...gateway, "--authority", "shop.example.com", "--path", "/cart")).chosen).toBe(V1);
    const unmatched = await explain(...gateway, "--authority", "shop.example.com", "--path", "/");
    expect([unmatched.rule, unmatched.directResponse?.status]).toEqual([null, 404]);
    const nowhere = await headgate("explain", "--config", directory, ...gateway, "--authority", "other.example.org");
    expect([nowhere.code, nowhere.stdout]).toEqual([1, ""]);
    expect(nowhere.stderr).toContain("the gateway answers 404");
  });

  it("says of a fault whether it is drawn once or for every try", async () => {
    expect((await explain("--authority", "reviews", "-H", "end-user: jason")).fault?.perTry).toBe(false);
    const shop = ["--gateway", "default/ingress", "--authority", "shop.example.com", "--path", "/cart"];
    expect((await explain(...shop)).fault).toMatchObject({ abortStatus: 503, percentage: 50, perTry: true });
    const { stdout } = await headgate("explain", "--config", directory, ...shop);
    expect(stdout).toContain("fault        50 % aborted with 503; drawn for every try");
  });

  it("says what to do about a request that is not whole", async () => {
    // As a process of its own, too.
    const run = runHeadgate(scope, ["explain", "--config", directory]);
    const { code } = await run.exited;
    expect([code, run.stderr()]).toEqual([64, "headgate explain: a request needs an authority (its Host)\n"]);
  });

  it("agrees with a real Envoy on every request of a grid", async () => {
    const mesh = await startTestMesh(scope);
    const backends = { v1: await startBackend(scope, "v1"), v2: await startBackend(scope, "v2") };
    await mesh.apply("service.yaml", httpService("reviews", backends));
    await mesh.apply(
      "rules.yaml",
      RULES.replaceAll(/weight: (75|25)/g, (_, weight) => `weight: ${weight === "75" ? 1 : 0}`).replace(
        "fixedDelay: 1s",
        "fixedDelay: 1ms",
      ),
    );
    const sidecar = await mesh.startProxy({ name: "client" });
    const offline = await readMesh([mesh.directory], "default", "istio-system");
    const proxy = describeProxy(offline.mesh, { node: sidecar.id, namespace: "default", labels: {} });
    if ("error" in proxy) throw new Error(proxy.error);
    const { filter, wasm } = await readTrafficFilter();
    for (const authority of ["reviews", "reviews.default:9080", "unknown.example.com"]) {
      for (const path of ["/", "/beta", "/bet", "/old", "/old?x=1", "//old", "/a/../beta", "/%62eta"]) {
        for (const method of ["GET", "DELETE"]) {
          for (const user of ["jason", "Jason"]) {
            const answer = await ask(`http://${sidecar.address}:9080${path}`, {
              method,
              headers: { host: authority, "end-user": user },
            });
            const fate = answer.status === 200 ? JSON.parse(answer.body).backend : String(answer.status);
            const request = readRequest({ authority, path, method, port: 9080, headers: { "end-user": user } }, []);
            if ("error" in request) throw new Error(request.error);
            const explained = explainRequest(offline.mesh, proxy.value, request.value, filter, wasm);
            const expected = !("error" in explained)
              ? (explained.chosen?.split("|")[2] ??
                String(explained.directResponse?.status ?? explained.redirect?.redirectCode))
              : "502";
            expect(expected, `${method} ${authority} ${path} ${user}`).toBe(fate);
          }
        }
      }
    }
  });
});

describe("headgate test", () => {
  it("exits with 1 when an expectation does not hold, and tells JUnit", async () => {
    const file = join(directory, "routes.test.txt");
    await writeFile(
      file,
      `config: [service.yaml, rules.yaml]
tests:
- name: jason gets v2
  request: {authority: reviews, headers: {end-user: jason}}
  expect: {subset: v2, rule: {index: 1}}
- name: a wrong expectation
  request: {authority: reviews, path: /old}
  expect: {status: 301}
- name: no such host
  request: {authority: nowhere}
  expect: {error: "no service"}
- name: no such field
  request: {authority: reviews, path: /old}
  expect: {falt: null, rule: {http: null, nme: null}, redirect: {authority: null}}
`,
    );
    const report = join(directory, "report.xml.txt");
    const { code, stdout } = await headgate("test", file, "--junit", report);
    expect(code).toBe(1);
    expect(stdout).toBe(`ok   jason gets v2
FAIL a wrong expectation
       line 6: status is 308, not 301
ok   no such host
FAIL no such field
       line 12: an explanation has no field falt; see headgate explain -o json
       line 12: an explanation has no field rule.nme; see headgate explain -o json
2 passed, 2 failed
`);
  });

  it("says what is wrong with a file, and exits with 64", async () => {
    const file = join(directory, "bad.test.txt");
    await writeFile(file, "tests:\n- request: {authority: reviews}\n  expected: {}\n");
    const { code, stderr } = await headgate("test", file, "--config", directory);
    expect(code).toBe(64);
    expect(stderr).toContain(`${file}:2: unknown field expected`);
  });
});
