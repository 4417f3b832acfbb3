// The requests that wait for the end of their delay: a binary heap ordered by when each is due. No host calls here.

/** No more requests than this wait at once in one VM. */
export const MOST_PAUSED: u32 = 16384;
const ENTRY_SIZE: usize = 24;
const ENTRIES: usize = memory.data(393216, 16);
// An entry: when it is due, its context, and how the request is then aborted (HTTP status, or 0; gRPC status, or -1).
const DUE: usize = 0;
const CONTEXT: usize = 8;
const ABORT_STATUS: usize = 12;
const GRPC_STATUS: usize = 16;

let count: u32 = 0;

export function pausedCount(): u32 {
  return count;
}

/** Adds a request, due at a time in nanoseconds; false when there is no room. */
export function addPaused(due: u64, context: u32, abortStatus: u32, grpcStatus: i32): bool {
  if (count === MOST_PAUSED) return false;
  const entry = entryAt(count);
  store<u64>(entry, due, DUE);
  store<u32>(entry, context, CONTEXT);
  store<u32>(entry, abortStatus, ABORT_STATUS);
  store<i32>(entry, grpcStatus, GRPC_STATUS);
  rise(count++);
  return true;
}

/** When the next request is due; of no meaning when none waits. */
export function nextDue(): u64 {
  return load<u64>(entryAt(0), DUE);
}

export function pausedContext(i: u32): u32 {
  return load<u32>(entryAt(i), CONTEXT);
}

/** The HTTP status to abort with, or 0 to let the request go on. */
export function abortStatusOf(i: u32): u32 {
  return load<u32>(entryAt(i), ABORT_STATUS);
}

export function grpcStatusOf(i: u32): i32 {
  return load<i32>(entryAt(i), GRPC_STATUS);
}

/** Takes out entry i; the last one takes its place, and then finds its own. Entry 0 is the next due. */
export function removePaused(i: u32): void {
  count--;
  if (i === count) return;
  memory.copy(entryAt(i), entryAt(count), ENTRY_SIZE);
  rise(i);
  sink(i);
}

function entryAt(i: u32): usize {
  return ENTRIES + <usize>i * ENTRY_SIZE;
}

function dueAt(i: u32): u64 {
  return load<u64>(entryAt(i), DUE);
}

function rise(i: u32): void {
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (dueAt(parent) <= dueAt(i)) return;
    swap(i, parent);
    i = parent;
  }
}

function sink(i: u32): void {
  while (true) {
    let child: u32 = 2 * i + 1;
    if (child >= count) return;
    if (child + 1 < count && dueAt(child + 1) < dueAt(child)) child++;
    if (dueAt(i) <= dueAt(child)) return;
    swap(i, child);
    i = child;
  }
}

function swap(i: u32, j: u32): void {
  const a = entryAt(i);
  const b = entryAt(j);
  for (let at: usize = 0; at < ENTRY_SIZE; at += 8) {
    const held = load<u64>(a + at);
    store<u64>(a + at, load<u64>(b + at));
    store<u64>(b + at, held);
  }
}
