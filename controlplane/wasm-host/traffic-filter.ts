// The traffic filter in Node: the module that Envoy runs decides a described request, and says why.
import { IMAGE_PROPERTY, ROUTE_NAME_PROPERTY, SOURCE_ADDRESS_PROPERTY } from "../../filters/policy/tags.js";
import { type CompiledPolicy, undecidedRouteName } from "../policy/compile.js";
import { describeUnmet } from "./describe-unmet.js";
import { ProxyWasmHost, type Stream } from "./proxy-wasm-host.js";
import { type FilterRequest, headersInEnvoy } from "./request.js";

/** What a decision depends on besides the request and the rules. */
export interface Circumstances {
  /** Milliseconds since the epoch; ramps and faults' expiry go by it. */
  readonly now: number;
  /** A seed of 64 bits for the draws of weights and faults: the same seed, the same draws. */
  readonly random: bigint;
}

export interface Decision {
  /** The route id; undefined when no rule matched, or the image was refused. */
  readonly route?: string;
  readonly ruleIndex?: number;
  /** The alternative that held; undefined too for a rule that matches everything. */
  readonly matchIndex?: number;
  /** Within the rule. */
  readonly destinationIndex?: number;
  /** The faults that were drawn. A request may be delayed and then aborted. */
  readonly delayed: boolean;
  readonly aborted?: { readonly httpStatus: number; readonly grpcStatus?: number };
}

/** An alternative of an earlier rule, and the first condition that the request does not meet. */
export interface Rejection {
  readonly ruleIndex: number;
  readonly matchIndex: number;
  readonly because: string;
}

export interface Explanation extends Decision {
  /** In the order of the rules, up to the one that matched. */
  readonly rejected: readonly Rejection[];
  /** The path as Envoy's filters see it, and whether Envoy first redirects the client there. */
  readonly path: string;
  readonly redirected: boolean;
}

/** Instantiate once and use for many policies and requests; not reentrant. */
export class TrafficFilter {
  private readonly host: ProxyWasmHost;

  /** wasm: the module. Throws when it is not one that this version can run. */
  constructor(wasm: Uint8Array) {
    this.host = new ProxyWasmHost(wasm);
  }

  /** Counters since the filter was instantiated, by name. */
  get counters(): ReadonlyMap<string, number> {
    return this.host.counters;
  }

  /** Bytes of the module's memory. */
  get memorySize(): number {
    return this.host.module.memory.buffer.byteLength;
  }

  /** Decides a request whose headers are as Envoy's filters see them. */
  decide(
    compiled: Pick<CompiledPolicy, "image" | "hash" | "clauses">,
    headers: Stream["headers"],
    { now, random }: Circumstances,
    sourceAddress?: string,
  ): Decision {
    const { module } = this.host;
    const stream = openStream(compiled, headers, now, sourceAddress);
    module.headgate_seed(BigInt.asUintN(64, random));
    const delayed = !this.host.requestHeaders(stream) && !stream.localResponse;
    if (delayed) {
      stream.now = END_OF_TIME;
      this.host.tick(stream);
    }
    const route = stream.filterState.get("route");
    if (route === undefined) return { delayed: false };
    const clause = compiled.clauses[module.headgate_clause()];
    return {
      route,
      delayed,
      ...(clause ? { ruleIndex: clause.rule } : {}),
      ...(clause?.match === undefined ? {} : { matchIndex: clause.match }),
      destinationIndex: module.headgate_destination(),
      ...(stream.localResponse ? { aborted: stream.localResponse } : {}),
    };
  }

  /** Decides a request as a client sends it, and says why no earlier alternative held. */
  explain(
    compiled: CompiledPolicy,
    request: FilterRequest,
    circumstances: Circumstances,
  ): Explanation | { error: string } {
    const seen = headersInEnvoy(request);
    if ("error" in seen) return seen;
    const decision = this.decide(compiled, seen.headers, circumstances, request.sourceAddress);
    const { module } = this.host;
    const decided = decision.route === undefined ? compiled.clauses.length : module.headgate_clause();
    const rejected: Rejection[] = [];
    for (const [i, { rule, match, conditions }] of compiled.clauses.slice(0, decided).entries()) {
      const unmet = conditions[module.headgate_unmet_condition(i)];
      if (unmet && match !== undefined)
        rejected.push({ ruleIndex: rule, matchIndex: match, because: describeUnmet(unmet, seen.headers) });
    }
    return { ...decision, rejected, path: seen.path, redirected: seen.redirected };
  }
}

/** Every delay is over by then; nanoseconds. */
const END_OF_TIME = 2n ** 63n;

function openStream(
  compiled: Pick<CompiledPolicy, "image" | "hash">,
  headers: Stream["headers"],
  now: number,
  sourceAddress: string | undefined,
): Stream {
  const properties = new Map<string, Uint8Array>([
    [ROUTE_NAME_PROPERTY, Buffer.from(undecidedRouteName(compiled))],
    [IMAGE_PROPERTY, compiled.image],
  ]);
  if (sourceAddress !== undefined) properties.set(SOURCE_ADDRESS_PROPERTY, Buffer.from(sourceAddress));
  return { properties, headers, now: BigInt(Math.floor(now)) * 1_000_000n, filterState: new Map() };
}
