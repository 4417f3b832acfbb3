// A rule's retries -> Envoy's retry policy.
import { create } from "@bufbuild/protobuf";
import {
  HeaderMatcherSchema,
  type RetryPolicy,
  RetryPolicy_RetryBackOffSchema,
  RetryPolicy_RetryHostPredicateSchema,
  RetryPolicy_RetryPrioritySchema,
  RetryPolicySchema,
} from "../gen/envoy/config/route/v3/route_components_pb.js";
import { PreviousHostsPredicateSchema } from "../gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js";
import { PreviousPrioritiesConfigSchema } from "../gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js";
import type { HttpRetry } from "../resources/virtual-service.js";
import { pack } from "./resource.js";
import { duration } from "./values.js";

/** Retried where a rule says nothing of retries: only what cannot have reached the workload. */
const UNSENT = "connect-failure,refused-stream,reset-before-request";
const DEFAULT_ATTEMPTS = 2;

/**
 * Retried where a rule asks for retries and does not say when: Istio's default conditions, and a try that timed out or
 * was reset. They may have reached the workload, so only methods that may be repeated are retried.
 */
const FAILED = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes,reset";
const RETRIABLE_STATUS_CODE = 503;
const REPEATABLE_METHODS = "GET|HEAD|OPTIONS|TRACE|PUT|DELETE";

/** Undefined where the rule switches retries off. */
export function retryPolicy(retries: HttpRetry | undefined): RetryPolicy | undefined {
  if (retries?.attempts === 0) return undefined;
  const policy = create(RetryPolicySchema, {
    retryOn: UNSENT,
    numRetries: retries?.attempts ?? DEFAULT_ATTEMPTS,
    hostSelectionRetryMaxAttempts: 5n,
  });
  if (retries?.retryIgnorePreviousHosts !== false) {
    policy.retryHostPredicate = [
      create(RetryPolicy_RetryHostPredicateSchema, {
        name: "envoy.retry_host_predicates.previous_hosts",
        configType: {
          case: "typedConfig",
          value: pack(PreviousHostsPredicateSchema, create(PreviousHostsPredicateSchema)),
        },
      }),
    ];
  }
  if (!retries) return policy;
  setConditions(policy, retries.retryOn);
  if (retries.perTryTimeoutMs !== undefined) policy.perTryTimeout = duration(retries.perTryTimeoutMs);
  if (retries.backoffMs !== undefined) {
    policy.retryBackOff = create(RetryPolicy_RetryBackOffSchema, {
      baseInterval: duration(retries.backoffMs),
      maxInterval: duration(retries.backoffMs * 10),
    });
  }
  if (retries.retryRemoteLocalities) {
    policy.retryPriority = create(RetryPolicy_RetryPrioritySchema, {
      name: "envoy.retry_priorities.previous_priorities",
      configType: {
        case: "typedConfig",
        value: pack(PreviousPrioritiesConfigSchema, create(PreviousPrioritiesConfigSchema, { updateFrequency: 2 })),
      },
    });
  }
  return policy;
}

/** Numbers among the conditions are status codes, as in Istio. */
function setConditions(policy: RetryPolicy, retryOn: string | undefined): void {
  if (retryOn === undefined) {
    policy.retryOn = FAILED;
    policy.retriableStatusCodes = [RETRIABLE_STATUS_CODE];
    policy.retriableRequestHeaders = [
      create(HeaderMatcherSchema, {
        name: ":method",
        headerMatchSpecifier: {
          case: "stringMatch",
          value: { matchPattern: { case: "safeRegex", value: { regex: REPEATABLE_METHODS } } },
        },
      }),
    ];
    return;
  }
  const conditions = retryOn.split(",").map((condition) => condition.trim());
  const codes = conditions.filter((condition) => /^\d+$/.test(condition)).map(Number);
  const named = conditions.filter((condition) => condition !== "" && !/^\d+$/.test(condition));
  if (codes.length > 0 && !named.includes("retriable-status-codes")) named.push("retriable-status-codes");
  policy.retryOn = named.join(",");
  policy.retriableStatusCodes = codes;
}
