// Deprecated fields: each means what its successor means, with a warning that names it.
import { expect, test } from "vitest";
import { decodeValue } from "./decoding.js";

const policy = (trafficPolicy: object) => ({ kind: "DestinationRule", spec: { host: "a", trafficPolicy } });
const http = (rule: object) => ({
  kind: "VirtualService",
  spec: { hosts: ["a"], http: [{ route: [{ destination: { host: "a" } }], ...rule }] },
});
const hash = (more: object) => policy({ loadBalancer: { consistentHash: { httpHeaderName: "x-user", ...more } } });

test.each([
  [
    "LEAST_CONN",
    policy({ loadBalancer: { simple: "LEAST_CONN" } }),
    policy({ loadBalancer: { simple: "LEAST_REQUEST" } }),
  ],
  [
    "warmupDurationSecs",
    policy({ loadBalancer: { simple: "ROUND_ROBIN", warmupDurationSecs: "30s" } }),
    policy({ loadBalancer: { simple: "ROUND_ROBIN", warmup: { duration: "30s" } } }),
  ],
  [
    "consecutiveErrors",
    policy({ outlierDetection: { consecutiveErrors: 3 } }),
    policy({ outlierDetection: { consecutiveGatewayErrors: 3 } }),
  ],
  ["minimumRingSize", hash({ minimumRingSize: 2048 }), hash({ ringHash: { minimumRingSize: 2048 } })],
  [
    "delay.percent",
    http({ fault: { delay: { fixedDelay: "1s", percent: 20 } } }),
    http({ fault: { delay: { fixedDelay: "1s", percentage: { value: 20 } } } }),
  ],
  [
    "corsPolicy.allowOrigin",
    http({ corsPolicy: { allowOrigin: ["https://a.example"] } }),
    http({ corsPolicy: { allowOrigins: [{ exact: "https://a.example" }] } }),
  ],
  [
    "mirrorPercent",
    http({ mirror: { host: "b" }, mirrorPercent: 20 }),
    http({ mirror: { host: "b" }, mirrorPercentage: { value: 20 } }),
  ],
])("%s means what its successor means", (_, old, successor) => {
  const [deprecated, current] = [old, successor].map((value) => {
    return decodeValue({ apiVersion: "networking.istio.io/v1", metadata: { name: "a" }, ...value });
  });
  expect(deprecated?.violations.map(({ severity, code }) => `${severity} ${code}`)).toEqual([
    "warning deprecated-field",
  ]);
  expect(current?.violations).toEqual([]);
  expect(deprecated?.resource?.spec).toEqual(current?.resource?.spec);
});
