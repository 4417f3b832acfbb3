// The process in which simulated proxies live, apart from the control plane and from the benchmark that orders them.
import { setTimeout as sleep } from "node:timers/promises";
import { CLUSTER, LISTENER, VIRTUAL_HOST } from "../../controlplane/xds/order.js";
import { now } from "./clock.js";
import type { ConnectOrder, Counts, FleetOrder, FleetReport } from "./fleet-messages.js";
import { SimulatedProxy } from "./simulated-proxy.js";
import type { ScannedResponse } from "./wire.js";

/** As the bootstrap of every proxy says. */
const BACKOFF = { baseMillis: 200, maxMillis: 5_000 };
/** The types that the control plane answers on every stream, be it with nothing. */
const ANSWERED = [CLUSTER, LISTENER, VIRTUAL_HOST];

interface Member {
  readonly proxy: SimulatedProxy;
  /** Types that were answered on this stream. */
  answered: Set<string>;
  attempts: number;
}

class Fleet {
  readonly #members = new Map<SimulatedProxy, Member>();
  #order: ConnectOrder | undefined;
  #connecting: Set<Member> | undefined;
  #awaited: { typeUrl: string; name: string; at: Map<SimulatedProxy, number> } | undefined;
  #rejecting: { readonly proxy: SimulatedProxy; readonly typeUrl: string } | undefined;
  #resources = 0;
  #refused = 0;
  #cpu = process.cpuUsage();

  constructor(readonly report: (report: FleetReport) => void) {}

  async connect(order: ConnectOrder): Promise<void> {
    this.#order = order;
    const members: Member[] = [];
    for (let number = order.from; number < order.to; number++) {
      const proxy = new SimulatedProxy(identity(number, order.namespaces), {
        onResponse: (from, response) => this.#received(from, response),
        onEnd: (from) => void this.#ended(from),
      });
      const member = { proxy, answered: new Set<string>(), attempts: 0 };
      this.#members.set(proxy, member);
      members.push(member);
    }
    await this.#open(members, order.perSecond);
  }

  async reconnect(): Promise<void> {
    for (const { proxy } of this.#members.values()) proxy.disconnect();
    await this.#open([...this.#members.values()], undefined);
  }

  expectReturn(): void {
    this.#reset();
    this.#connecting = new Set(this.#members.values());
    for (const member of this.#members.values()) member.answered.clear();
  }

  await(typeUrl: string, name: string): void {
    this.#reset();
    this.#awaited = { typeUrl, name, at: new Map() };
  }

  reject(typeUrl: string, error: string): void {
    const [proxy] = this.#members.keys();
    if (!proxy) throw new Error("there are no proxies");
    proxy.rejections.set(typeUrl, error);
    this.#rejecting = { proxy, typeUrl };
  }

  counts(): Counts {
    let [bytes, responses] = [0, 0];
    for (const proxy of this.#members.keys()) {
      bytes += proxy.bytes;
      responses += proxy.responses;
    }
    return { bytes, responses, resources: this.#resources };
  }

  #reset(): void {
    for (const proxy of this.#members.keys()) proxy.resetCounts();
    this.#resources = 0;
    this.#refused = 0;
    this.#cpu = process.cpuUsage();
  }

  async #open(members: readonly Member[], perSecond: number | undefined): Promise<void> {
    this.#reset();
    this.#connecting = new Set(members);
    for (const [index, member] of members.entries()) {
      if (perSecond !== undefined && index > 0 && index % perSecond === 0) await sleep(1_000);
      member.attempts = 0;
      this.#connectOne(member);
    }
  }

  #connectOne(member: Member): void {
    member.answered = new Set();
    member.proxy.connect(this.#order?.address ?? "");
  }

  #received(proxy: SimulatedProxy, { typeUrl, resources }: ScannedResponse): void {
    this.#resources += resources.length;
    if (this.#rejecting?.proxy === proxy && this.#rejecting.typeUrl === typeUrl) {
      this.#rejecting = undefined;
      this.report({ report: "rejected", at: now() });
    }
    const member = this.#members.get(proxy);
    if (member && this.#connecting?.has(member)) {
      member.answered.add(typeUrl);
      if (this.#isConnected(member)) this.#connected(member);
    }
    const awaited = this.#awaited;
    if (awaited?.typeUrl !== typeUrl || !resources.some(({ name }) => name === awaited.name)) return;
    awaited.at.set(proxy, now());
    if (awaited.at.size < this.#members.size) return;
    this.#awaited = undefined;
    this.report({ report: "arrived", at: [...awaited.at.values()], counts: this.counts() });
  }

  #isConnected({ proxy, answered }: Member): boolean {
    const expected = Object.entries(this.#order?.expected ?? {});
    return (
      ANSWERED.every((type) => answered.has(type)) && expected.every(([type, least]) => proxy.count(type) >= least)
    );
  }

  #connected(member: Member): void {
    this.#connecting?.delete(member);
    if (this.#connecting?.size !== 0) return;
    this.#connecting = undefined;
    const { user, system } = process.cpuUsage(this.#cpu);
    const cpuMillis = (user + system) / 1000;
    this.report({ report: "connected", at: now(), counts: this.counts(), refused: this.#refused, cpuMillis });
  }

  /** As Envoy: again after a random part of a time that doubles. */
  async #ended(proxy: SimulatedProxy): Promise<void> {
    const member = this.#members.get(proxy);
    if (!member) return;
    this.#refused++;
    const most = Math.min(BACKOFF.maxMillis, BACKOFF.baseMillis * 2 ** member.attempts++);
    await sleep(Math.random() * most);
    this.#connectOne(member);
  }
}

function identity(number: number, namespaces: number) {
  const namespace = namespaces > 1 ? `ns-${number % namespaces}` : "default";
  const address = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
  return {
    id: `sidecar~${address}~proxy-${number}.${namespace}~${namespace}.svc.cluster.local`,
    metadata: { NAMESPACE: namespace, INTERCEPTION_MODE: "REDIRECT", LABELS: { app: `app-${number}` } },
  };
}

const fleet = new Fleet((report) => process.send?.(report));
process.on("message", (order: FleetOrder) => {
  if (order.order === "connect") void fleet.connect(order);
  else if (order.order === "reconnect") void fleet.reconnect();
  else if (order.order === "expect") fleet.expectReturn();
  else if (order.order === "await") fleet.await(order.typeUrl, order.name);
  else if (order.order === "reject") fleet.reject(order.typeUrl, order.error);
  else fleet.report({ report: "counted", counts: fleet.counts() });
});
process.on("disconnect", () => process.exit());
