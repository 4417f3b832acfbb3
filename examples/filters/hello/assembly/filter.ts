// The filter: greets in a header of each response, and sends away whom it is told to.
import {
  CONTINUE,
  configuration,
  requestHeader,
  respond,
  STOP,
  setRequestHeader,
  setResponseHeader,
  setting,
} from "./proxy";

export { proxy_abi_version_0_2_1, proxy_on_memory_allocate } from "./proxy";

let greeting = "";
let unwelcome = "";

/** Envoy has the filter's pluginConfig, as JSON. 1 says that all is well with it. */
export function proxy_on_configure(_root: u32, size: u32): u32 {
  const settings = configuration(size);
  greeting = setting(settings, "greeting", "welcome");
  unwelcome = setting(settings, "unwelcome", "");
  return 1;
}

export function proxy_on_request_headers(_context: u32, _count: u32, _end: u32): u32 {
  const user = requestHeader("x-user");
  if (user !== null && user === unwelcome) {
    respond(403, `${user} is not welcome\n`);
    return STOP;
  }
  setRequestHeader("x-greeted", greeting);
  return CONTINUE;
}

export function proxy_on_response_headers(_context: u32, _count: u32, _end: u32): u32 {
  setResponseHeader("x-greeting", greeting);
  return CONTINUE;
}
