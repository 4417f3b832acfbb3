// Scenarios 05 to 07: the way in, the way out, and what a namespace may reach.
import { GATEWAY, GATEWAY_TLS_HOST, OUTSIDE, servedPort } from "../topology.js";
import { ask, askMany, Tally } from "../traffic.js";
import { type Observation, type Scenario, type Stage, through } from "./scenario.js";

const HTTPS_PORT = servedPort(443);

export const gatewayTls: Scenario = {
  title: "05 HTTPS at the gateway",
  async run({ mesh, apply }) {
    await apply("05-gateway-ext-host.yaml");
    const to = { host: mesh.address(GATEWAY.name), port: HTTPS_PORT };
    return tlsObservations(to, GATEWAY_TLS_HOST, "/productpage", "The Comedy of Errors", mesh.authority.certificate);
  },
};

export const external: Scenario = {
  title: "06 a service outside",
  async run({ mesh, apply }) {
    await apply("06-service-entry-external.yaml");
    const to = { host: mesh.address("productpage-v1"), port: HTTPS_PORT };
    const observations = await tlsObservations(
      to,
      OUTSIDE.hostname,
      "/",
      `"instance":"${OUTSIDE.name}"`,
      mesh.authority.certificate,
    );
    const cluster = `outbound|443||${OUTSIDE.hostname}`;
    const carried = await mesh.stat("productpage-v1", `cluster.${cluster}.upstream_cx_total`);
    const observed = `${carried} connections`;
    return [...observations, { expected: "carried by its own cluster", observed, requests: 0, held: carried > 0 }];
  },
};

/** Twenty requests by TLS whose certificate is verified, and one for a server name that is not served. */
async function tlsObservations(
  to: { readonly host: string; readonly port: number },
  host: string,
  path: string,
  sign: string,
  trust: string,
): Promise<Observation[]> {
  const seen = new Tally();
  await askMany({ to, host, path, trust }, 20, 5, ({ status, body }) =>
    seen.add(status === 200 && body.includes(sign) ? "verified" : `status ${status}`),
  );
  const stranger = await ask({ to, host: `other-${host}`, path, trust }).then(
    ({ status }) => `status ${status}`,
    () => "refused",
  );
  return [
    {
      expected: "TLS, certificate verified",
      observed: `${seen}`,
      requests: seen.total,
      held: seen.isOnly("verified"),
    },
    { expected: "another server name: refused", observed: stranger, requests: 1, held: stranger === "refused" },
  ];
}

export const egressScope: Scenario = {
  title: "07 reach of a namespace",
  async run(stage) {
    await stage.apply();
    const before = [await reached(stage, "shop.other", "200", "before: ")];
    await stage.apply("07-sidecar-bookinfo.yaml");
    return [
      ...before,
      await reached(stage, "shop.other", "502", "after: "),
      await reached(stage, "telemetry.istio-system", "200", "after: "),
      await reached(stage, "details.bookinfo", "200", "after: ", "/details/0"),
    ];
  },
};

async function reached(
  { mesh }: Stage,
  service: string,
  status: string,
  when: string,
  path = "/",
): Promise<Observation> {
  const seen = new Tally();
  await askMany(through(mesh, "productpage-v1", service, path), 20, 5, (reply) => seen.add(String(reply.status)));
  return { expected: `${when}${service} ${status}`, observed: `${seen}`, requests: 20, held: seen.isOnly(status) };
}
