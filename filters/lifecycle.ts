// What both modules do whatever they decide: they give Envoy memory, start, and go on with requests that are due.
import * as host from "./abi/host";
import { resetScratch, scratch } from "./abi/memory";
import { keepTicking, resumeDue } from "./pausing";
import { seedRandom } from "./rollout/random";
import { openTelemetry } from "./telemetry";

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(size: usize): usize {
  return scratch(size);
}

export function proxy_on_vm_start(_context: u32, _size: u32): u32 {
  resetScratch();
  seedRandom(host.randomSeed());
  openTelemetry();
  return 1;
}

export function proxy_on_configure(context: u32, _size: u32): u32 {
  keepTicking(context);
  return 1;
}

export function proxy_on_tick(context: u32): void {
  resetScratch();
  resumeDue(context);
}
