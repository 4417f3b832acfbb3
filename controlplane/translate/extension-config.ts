// What an extension runs, as the extension config that its place in the filter chain asks for by ECDS.
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { type Any, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { TypedExtensionConfigSchema } from "../gen/envoy/config/core/v3/extension_pb.js";
import { HTTPFaultSchema } from "../gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { HeaderMutationSchema } from "../gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import { LuaSchema } from "../gen/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import { WasmSchema } from "../gen/envoy/extensions/filters/http/wasm/v3/wasm_pb.js";
import { FailurePolicy } from "../gen/envoy/extensions/wasm/v3/wasm_pb.js";
import { type Extension, runsModule, type WasmExtension } from "../mesh/extensions.js";
import type { WasmFilter } from "../resources/wasm-plugin.js";
import { type EnvoyResource, encodeResource, pack } from "./resource.js";
import { millionths } from "./values.js";

/** An extension with its module; while a changed one's module is not there, the one that was before it. */
export interface LoadedExtension {
  readonly extension: WasmExtension;
  readonly wasm: Uint8Array;
}

const POLICIES: Readonly<Record<WasmFilter["failStrategy"], FailurePolicy>> = {
  FAIL_CLOSE: FailurePolicy.FAIL_CLOSED,
  FAIL_OPEN: FailurePolicy.FAIL_OPEN,
  FAIL_RELOAD: FailurePolicy.FAIL_RELOAD,
};

/** Istio's name of it, as in extensions.istio.io/wasmplugin/default.hello. */
export function extensionName({ kind, meta }: Extension): string {
  return `extensions.istio.io/${kind.toLowerCase()}/${meta.namespace}.${meta.name}`;
}

/**
 * What stands in an extension's place while it has no module, or none that Envoy takes: it answers 503, or does nothing,
 * as for scripts, which Istio lets fail in no other way.
 */
export function standIn({ spec }: Extension): Any {
  if (!spec.wasm || spec.wasm.failStrategy === "FAIL_OPEN") {
    return pack(HeaderMutationSchema, create(HeaderMutationSchema, { mutations: {} }));
  }
  const abort = { errorType: { case: "httpStatus" as const, value: 503 }, percentage: millionths(100) };
  return pack(HTTPFaultSchema, create(HTTPFaultSchema, { abort }));
}

/** Encoded once, whoever gets it; for a module, by that first. */
const scripts = new WeakMap<Extension, EnvoyResource>();
const encoded = new WeakMap<Uint8Array, WeakMap<Extension, EnvoyResource>>();

/** The extension's resource; without a module that it needs, its stand-in. */
export function extensionConfig(extension: Extension, loaded: LoadedExtension | undefined): EnvoyResource {
  if (!runsModule(extension)) {
    const known = scripts.get(extension) ?? encode(extension, script(extension.spec.lua ?? ""));
    scripts.set(extension, known);
    return known;
  }
  if (!loaded) return encode(extension, standIn(extension));
  const ofModule = encoded.get(loaded.wasm) ?? new WeakMap<Extension, EnvoyResource>();
  encoded.set(loaded.wasm, ofModule);
  const resource = ofModule.get(loaded.extension) ?? encode(extension, wasm(loaded));
  ofModule.set(loaded.extension, resource);
  return resource;
}

function encode(extension: Extension, typedConfig: Any): EnvoyResource {
  const name = extensionName(extension);
  const named = create(TypedExtensionConfigSchema, { name, typedConfig });
  return encodeResource(TypedExtensionConfigSchema, name, named);
}

function script(text: string): Any {
  const defaultSourceCode = { specifier: { case: "inlineString" as const, value: text } };
  return pack(LuaSchema, create(LuaSchema, { defaultSourceCode }));
}

/** Each extension has VMs of its own, so that none falls with another. */
function wasm({ extension, wasm }: LoadedExtension): Any {
  const { pluginName, configuration, failStrategy } = extension.spec.wasm;
  const name = extensionName(extension);
  const config = create(WasmSchema, {
    config: {
      name,
      rootId: pluginName,
      failurePolicy: POLICIES[failStrategy],
      vm: {
        case: "vmConfig",
        value: {
          vmId: vmId(name, extension.spec.wasm),
          runtime: "envoy.wasm.runtime.v8",
          code: { specifier: { case: "local", value: { specifier: { case: "inlineBytes", value: wasm } } } },
          ...environment(extension.spec.wasm),
        },
      },
      ...(configuration === ""
        ? {}
        : { configuration: pack(StringValueSchema, create(StringValueSchema, { value: configuration })) }),
    },
  });
  return pack(WasmSchema, config);
}

/**
 * Every configuration starts a VM of its own: where one is added to a VM that runs already and fails there, Envoy accepts
 * it and lets requests by, whatever the policy says; one that keeps a VM from starting is rejected, and the last one stays.
 */
function vmId(name: string, { environment, hostEnvironment, configuration, pluginName }: WasmFilter): string {
  const content = JSON.stringify([[...environment], hostEnvironment, configuration, pluginName]);
  return `${name}#${createHash("sha256").update(content).digest("hex").slice(0, 16)}`;
}

function environment({ environment, hostEnvironment }: WasmFilter) {
  if (environment.size + hostEnvironment.length === 0) return {};
  const keyValues = Object.fromEntries(environment);
  return { environmentVariables: { hostEnvKeys: [...hostEnvironment], keyValues } };
}
