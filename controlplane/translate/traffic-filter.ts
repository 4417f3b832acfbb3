// Headgate's own modules as Envoy loads them; the traffic filter by ECDS, for all connection managers that decide.
import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { TypedExtensionConfigSchema } from "../gen/envoy/config/core/v3/extension_pb.js";
import { WasmSchema } from "../gen/envoy/extensions/filters/http/wasm/v3/wasm_pb.js";
import { FailurePolicy } from "../gen/envoy/extensions/wasm/v3/wasm_pb.js";
import { FILTER_NAME } from "../policy/compile.js";
import { type EnvoyResource, encodeResource, pack } from "./resource.js";

const encoded = new WeakMap<Uint8Array, EnvoyResource>();

/** Encoded once for each module, whoever gets it. */
export function trafficFilterConfig(wasm: Uint8Array): EnvoyResource {
  const resource = encoded.get(wasm) ?? encode(wasm);
  encoded.set(wasm, resource);
  return resource;
}

function encode(wasm: Uint8Array): EnvoyResource {
  const typedConfig = ownModule(FILTER_NAME, wasm);
  return encodeResource(
    TypedExtensionConfigSchema,
    FILTER_NAME,
    create(TypedExtensionConfigSchema, { name: FILTER_NAME, typedConfig }),
  );
}

/** The module travels inside; vm_id stays the same whatever the policy, so the VM lives on through policy changes. */
export function ownModule(name: string, wasm: Uint8Array): Any {
  const config = create(WasmSchema, {
    config: {
      name,
      rootId: name,
      failurePolicy: FailurePolicy.FAIL_RELOAD,
      vm: {
        case: "vmConfig",
        value: {
          vmId: name,
          runtime: "envoy.wasm.runtime.v8",
          code: { specifier: { case: "local", value: { specifier: { case: "inlineBytes", value: wasm } } } },
        },
      },
    },
  });
  return pack(WasmSchema, config);
}
