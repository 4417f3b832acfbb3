// What Envoy 1.40 offers a Wasm filter: its ABIs, and by ABI the functions that a module may import.

/** By the marker that the module exports. */
export const ABI_MARKERS: ReadonlyMap<string, string> = new Map([
  ["proxy_abi_version_0_1_0", "0.1.0"],
  ["proxy_abi_version_0_2_0", "0.2.0"],
  ["proxy_abi_version_0_2_1", "0.2.1"],
]);

const EVERY_ABI = [
  "log get_status set_property get_property send_local_response get_shared_data set_shared_data",
  "register_shared_queue resolve_shared_queue dequeue_shared_queue enqueue_shared_queue",
  "get_header_map_value add_header_map_value replace_header_map_value remove_header_map_value",
  "get_header_map_pairs set_header_map_pairs get_header_map_size get_buffer_status get_buffer_bytes set_buffer_bytes",
  "http_call grpc_call grpc_stream grpc_close grpc_cancel grpc_send set_tick_period_milliseconds",
  "get_current_time_nanoseconds define_metric increment_metric record_metric get_metric set_effective_context done",
  "call_foreign_function",
];

const OF_ABI: ReadonlyMap<string, string> = new Map([
  ["0.1.0", "get_configuration continue_request continue_response clear_route_cache"],
  ["0.2.0", "continue_stream close_stream"],
  ["0.2.1", "continue_stream close_stream get_log_level"],
]);

const WASI = new Set(
  (
    "fd_write fd_read fd_seek fd_close fd_fdstat_get environ_get environ_sizes_get args_get args_sizes_get " +
    "clock_time_get random_get proc_exit path_open fd_prestat_get fd_prestat_dir_name sched_yield poll_oneoff"
  ).split(" "),
);

/** Whether Envoy has the function for a module of that ABI. module, name: as the import says. */
export function offersCall(abi: string, module: string, name: string): boolean {
  if (module === "wasi_snapshot_preview1" || module === "wasi_unstable") return WASI.has(name);
  if (module !== "env") return false;
  if (name === "emscripten_notify_memory_growth") return true;
  const calls = [...EVERY_ABI, OF_ABI.get(abi) ?? ""].join(" ").split(" ");
  return calls.some((call) => name === `proxy_${call}`);
}
