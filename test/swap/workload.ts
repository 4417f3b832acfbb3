// The service, rules and sidecars of every test of swaps.
import { startBackend } from "../harness/backend.js";
import { type Answered, ask } from "../harness/client.js";
import { type Load, startLoad } from "../harness/load.js";
import type { TestProxy } from "../harness/mesh.js";
import { httpService, virtualService } from "../harness/policies.js";
import type { Scope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { type SwapMesh, startSwapMesh } from "./swapping.js";

export const HOST = "reviews.default.svc.cluster.local";

/** User jason goes to v2, all others to v1; /slow takes two seconds and goes to v2, /late 200 ms more than others. */
export const RULES = virtualService(
  "reviews",
  `  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - match: [{uri: {prefix: /slow}}]
    fault: {delay: {fixedDelay: 2s, percentage: {value: 100}}}
    route: [{destination: {host: reviews, subset: v2}}]
  - match: [{uri: {prefix: /late}}]
    fault: {delay: {fixedDelay: 200ms, percentage: {value: 100}}}
    route: [{destination: {host: reviews, subset: v1}}]
  - route: [{destination: {host: reviews, subset: v1}}]
`,
);

/** By version. */
type Backends = Readonly<Record<string, { readonly port: number }>>;

export interface Workload extends SwapMesh {
  readonly sidecars: readonly TestProxy[];
  readonly backends: Backends;
  /** Resolves once these proxies run that version. */
  run(proxies: readonly TestProxy[], version: string): Promise<unknown>;
  /** Resolves once every proxy does. */
  everyoneRuns(version: string): Promise<unknown>;
}

/** Three sidecars a, b and c, which have those names as label "app". */
export async function startWorkload(scope: Scope): Promise<Workload> {
  const swap = await startSwapMesh(scope);
  const backends = { v1: await startBackend(scope, "v1"), v2: await startBackend(scope, "v2") };
  await serveBackends(swap, backends);
  await swap.mesh.apply("rules.yaml", RULES);
  const sidecars: TestProxy[] = [];
  for (const name of ["a", "b", "c"]) sidecars.push(await swap.mesh.startProxy({ name, labels: { app: name } }));
  const run: Workload["run"] = (proxies, version) =>
    eventually(`${proxies.length} proxies run ${version}`, async () => {
      const ids = proxies.map(({ id }) => id);
      return (await swap.proxies()).every(({ id, running }) => running === version || !ids.includes(id));
    });
  const everyoneRuns = (version: string) => run(sidecars, version);
  return { ...swap, sidecars, backends, run, everyoneRuns };
}

/** Has the service's versions be these; they must differ from those before. */
export function serveBackends({ mesh }: Pick<SwapMesh, "mesh">, backends: Backends): Promise<void> {
  return mesh.apply("service.yaml", httpService("reviews", backends));
}

export const urlOf = ({ address }: { readonly address: string }, path = "/") => `http://${address}:9080${path}`;

export function backendOf({ status, body }: Answered): string {
  return status === 200 ? JSON.parse(body).backend : `status ${status}`;
}

export function loadOn(proxy: TestProxy, user: string, concurrency = 2, path = "/"): Load {
  return startLoad({
    url: urlOf(proxy, path),
    headers: { host: HOST, "end-user": user },
    concurrency,
    name: backendOf,
  });
}

/** Whether every one of them answers as the rules say. */
export async function allServe(proxies: readonly TestProxy[]): Promise<boolean> {
  const answers = await Promise.all(proxies.map((proxy) => ask(urlOf(proxy), { headers: { host: HOST } })));
  return answers.every((answer) => backendOf(answer) === "v1");
}
