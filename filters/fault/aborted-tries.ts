// The tries whose answers are to be replaced: a table by context, each within a few places of its own.

const CAPACITY: u32 = 8192;
const REACH: u32 = 8;
const ENTRY_SIZE: u32 = 12;
const ENTRIES: usize = memory.data(98304, 4);
// An entry: its context (0: none), the HTTP status, the gRPC status or -1.
const STATUS: usize = 4;
const GRPC_STATUS: usize = 8;

/** Notes how a try is to be answered; false when there is no room near its place. */
export function addAborted(context: u32, status: u32, grpcStatus: i32): bool {
  const entry = find(context, 0);
  if (entry === 0) return false;
  store<u32>(entry, context);
  store<u32>(entry, status, STATUS);
  store<i32>(entry, grpcStatus, GRPC_STATUS);
  return true;
}

/** Where it is noted how the try is to be answered, or 0. */
export function abortedTry(context: u32): usize {
  return find(context, context);
}

export function statusOf(entry: usize): u32 {
  return load<u32>(entry, STATUS);
}

export function grpcStatusOf(entry: usize): i32 {
  return load<i32>(entry, GRPC_STATUS);
}

export function removeAborted(context: u32): void {
  const entry = find(context, context);
  if (entry !== 0) store<u32>(entry, 0);
}

/** The first place within reach of context's own that holds wanted, or 0. */
function find(context: u32, wanted: u32): usize {
  for (let i: u32 = 0; i < REACH; i++) {
    const entry = ENTRIES + ((context + i) & (CAPACITY - 1)) * ENTRY_SIZE;
    if (load<u32>(entry) === wanted) return entry;
  }
  return 0;
}
