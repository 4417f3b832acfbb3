// The VM's memory, which is ours alone: static data, then what is kept, then scratch that lasts for one callback.

/** Where kept memory begins; multiples of 16 all along. */
export const KEPT_START: usize = (__heap_base + 15) & ~15;

let keptEnd: usize = KEPT_START;
let scratchTop: usize = KEPT_START;

/** The first byte after what is kept. */
export function endOfKept(): usize {
  return keptEnd;
}

/** Sets where kept memory ends, a multiple of 16; scratch is lost. False when the VM cannot grow so far. */
export function keepUpTo(end: usize): bool {
  if (!reach(end)) return false;
  keptEnd = end;
  scratchTop = end;
  return true;
}

/** Forgets all scratch: called when a callback begins. */
export function resetScratch(): void {
  scratchTop = keptEnd;
}

/** size bytes of scratch, not zeroed, right behind what was given out before. Traps when the VM cannot grow so far. */
export function scratch(size: usize): usize {
  const start = scratchTop;
  const end = (start + size + 7) & ~7;
  if (end < start || !reach(end)) unreachable();
  scratchTop = end;
  return start;
}

function reach(end: usize): bool {
  const missing = <isize>end - <isize>((<usize>memory.size()) << 16);
  if (missing <= 0) return true;
  return memory.grow(<i32>((missing + 0xffff) >> 16)) >= 0;
}
