// Small protobuf values that many translations need: durations, addresses, config sources, percentages.
import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { type Address, AddressSchema } from "../gen/envoy/config/core/v3/address_pb.js";
import { ApiVersion, type ConfigSource, ConfigSourceSchema } from "../gen/envoy/config/core/v3/config_source_pb.js";
import {
  type FractionalPercent,
  FractionalPercent_DenominatorType,
  FractionalPercentSchema,
} from "../gen/envoy/type/v3/percent_pb.js";
import type { Millis } from "../resources/virtual-service.js";

export function duration(millis: Millis): Duration {
  const seconds = Math.floor(millis / 1000);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: Math.round((millis - seconds * 1000) * 1e6) });
}

/** An IP address with a port, or unix:///path (then the port does not count). */
export function socketAddress(address: string, port: number): Address {
  if (address.startsWith("unix://")) {
    return create(AddressSchema, { address: { case: "pipe", value: { path: address.slice("unix://".length) } } });
  }
  return create(AddressSchema, {
    address: { case: "socketAddress", value: { address, portSpecifier: { case: "portValue", value: port } } },
  });
}

/** Over the aggregated stream. */
export function adsSource(): ConfigSource {
  return create(ConfigSourceSchema, {
    resourceApiVersion: ApiVersion.V3,
    configSourceSpecifier: { case: "ads", value: {} },
  });
}

/** 0 to 100 with fractions -> millionths. */
export function millionths(percentage: number): FractionalPercent {
  return create(FractionalPercentSchema, {
    numerator: Math.round(percentage * 10_000),
    denominator: FractionalPercent_DenominatorType.MILLION,
  });
}
