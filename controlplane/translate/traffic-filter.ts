// The traffic filter as an extension config, which every connection manager that decides asks for by ECDS.
import { create } from "@bufbuild/protobuf";
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

/** The module travels inside; vm_id stays the same whatever the policy, so the VM lives on through policy changes. */
function encode(wasm: Uint8Array): EnvoyResource {
  const config = create(WasmSchema, {
    config: {
      name: FILTER_NAME,
      rootId: FILTER_NAME,
      failurePolicy: FailurePolicy.FAIL_RELOAD,
      vm: {
        case: "vmConfig",
        value: {
          vmId: FILTER_NAME,
          runtime: "envoy.wasm.runtime.v8",
          code: { specifier: { case: "local", value: { specifier: { case: "inlineBytes", value: wasm } } } },
        },
      },
    },
  });
  const named = create(TypedExtensionConfigSchema, { name: FILTER_NAME, typedConfig: pack(WasmSchema, config) });
  return encodeResource(TypedExtensionConfigSchema, FILTER_NAME, named);
}
