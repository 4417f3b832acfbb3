// Scenarios 01 to 04: which service, version and instance a request goes to.
import { binomialRange, SPLIT_TOLERANCE } from "../statistics.js";
import { ask, askMany, connections, Tally } from "../traffic.js";
import { atGateway, type Observation, percent, type Scenario, type Stage, through } from "./scenario.js";

const AT_ONCE = 32;

export const byUser: Scenario = {
  title: "01 by user",
  async run({ mesh, apply }) {
    await apply("subsets.yaml", "01-reviews-by-user.yaml");
    const [jason, others] = [new Tally(), new Tally()];
    const question = through(mesh, "productpage-v1", "reviews", "/reviews/0");
    await askMany({ ...question, headers: { "end-user": "jason" } }, 100, AT_ONCE, (reply) =>
      jason.add(version(reply)),
    );
    await askMany({ ...question, headers: { "end-user": "jasons" } }, 50, AT_ONCE, (reply) =>
      others.add(version(reply)),
    );
    await askMany(question, 50, AT_ONCE, (reply) => others.add(version(reply)));
    const page = await ask({ ...atGateway(mesh, "/productpage"), headers: { cookie: "bookinfo-user=jason" } });
    const shown = /served by reviews (v\d)/.exec(page.body)?.[1] ?? `status ${page.status}`;
    return [
      { expected: "jason: v2", observed: `${jason}`, requests: jason.total, held: jason.isOnly("v2") },
      { expected: "anyone else: v3", observed: `${others}`, requests: others.total, held: others.isOnly("v3") },
      { expected: "jason's page by the gateway: v2", observed: shown, requests: 1, held: shown === "v2" },
    ];
  },
};

export const byUri: Scenario = {
  title: "02 by URI",
  async run({ mesh, apply }) {
    await apply("02-bookinfo-by-uri.yaml");
    const observations: Observation[] = [];
    for (const service of ["reviews", "ratings"]) {
      const seen = new Tally();
      const question = through(mesh, "productpage-v1", "bookinfo.com", `/${service}/0`);
      await askMany(question, 50, AT_ONCE, ({ body }) => seen.add(service in parsed(body) ? service : "other"));
      const held = seen.isOnly(service);
      observations.push({ expected: `/${service}: ${service}`, observed: `${seen}`, requests: 50, held });
    }
    const elsewhere = await ask(through(mesh, "productpage-v1", "bookinfo.com", "/details/0"));
    const held = elsewhere.status === 404;
    return [...observations, { expected: "/details: 404", observed: `${elsewhere.status}`, requests: 1, held }];
  },
};

export const split: Scenario = {
  title: "03 split 75/25",
  async run({ mesh, apply }) {
    await apply("subsets.yaml", "03-reviews-split-75-25.yaml");
    const seen = new Tally();
    const question = through(mesh, "productpage-v1", "reviews", "/reviews/0");
    await askMany(question, 10_000, AT_ONCE, (reply) => seen.add(version(reply)));
    const share = seen.of("v2") / seen.total;
    const complete = seen.of("v1") + seen.of("v2") === seen.total;
    const held = complete && Math.abs(share - 0.25) <= SPLIT_TOLERANCE;
    const observed = `${seen} (${percent(share)})`;
    return [{ expected: `v2: 25 % ± ${SPLIT_TOLERANCE * 100} points`, observed, requests: seen.total, held }];
  },
};

export const loadBalancing: Scenario = {
  title: "04 load balancing",
  async run(stage) {
    await stage.apply("04-my-svc-load-balancing.yaml", "04-my-svc-routes.yaml");
    return Promise.all([balanced(stage, "v1", false), balanced(stage, "v2", true), balanced(stage, "v3", false)]);
  },
};

/** Asks one after the other over one connection: only then does the order of instances tell how they are chosen. */
async function balanced({ mesh }: Stage, subset: string, inTurn: boolean): Promise<Observation> {
  const n = 90;
  const agent = connections(1);
  const question = through(mesh, "productpage-v1", "my-svc", `/${subset}`);
  const order: string[] = [];
  const seen = new Tally();
  for (let i = 0; i < n; i += 1) {
    const instance = String((await ask(question, agent)).headers["x-instance"] ?? "none");
    order.push(instance);
    seen.add(instance.replace("my-svc-", ""));
  }
  agent.destroy();
  const ownOnly = order.every((instance) => instance.startsWith(`my-svc-${subset}-`));
  const alternates = order.every((instance, i) => i < 3 || instance === order[i - 3]) && new Set(order).size === 3;
  // An instance's share under RANDOM; a rotation would fit it too, so its order is looked at as well.
  const { least, most } = binomialRange(n, 1 / 3);
  const evenly = [...new Set(order)].every((one) =>
    inRange(order.filter((other) => other === one).length, least, most),
  );
  return {
    expected: inTurn ? `${subset}: three instances in turn` : `${subset}: three instances at random`,
    observed: `${alternates ? "in turn" : "in no order"}: ${seen}`,
    requests: n,
    held: ownOnly && alternates === inTurn && new Set(order).size === 3 && evenly,
  };
}

function inRange(count: number, least: number, most: number): boolean {
  return count >= least && count <= most;
}

function version(reply: { readonly status: number; readonly headers: Record<string, unknown> }): string {
  return reply.status === 200 ? String(reply.headers["x-version"]) : `status ${reply.status}`;
}

function parsed(body: string): object {
  try {
    return JSON.parse(body) as object;
  } catch {
    return {};
  }
}
