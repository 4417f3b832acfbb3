// The VM's clock: ticks while something waits. Several root contexts may share the VM, and each may go at any time, so
// all of them tick.
import { enterContext, setTickPeriod } from "./host";

const MOST_ROOTS: u32 = 16;
const ROOTS: usize = memory.data(64, 4);
let count: u32 = 0;

/** Remembers a root context; the oldest is forgotten when there are too many. */
export function addRoot(context: u32): void {
  forgetGone();
  if (count === MOST_ROOTS) {
    memory.copy(ROOTS, ROOTS + 4, 4 * (MOST_ROOTS - 1));
    count--;
  }
  store<u32>(ROOTS + 4 * count++, context);
}

/** Makes proxy_on_tick come every millisecond; afterwards, calls speak of context again. */
export function startTicking(context: u32): void {
  for (let i: u32 = 0; i < count; i++) if (enterContext(load<u32>(ROOTS + 4 * i))) setTickPeriod(1);
  enterContext(context);
}

/** Ends the ticks of one root context, which calls then speak of. */
export function stopTicking(root: u32): void {
  enterContext(root);
  setTickPeriod(0);
}

function forgetGone(): void {
  let kept: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const root = load<u32>(ROOTS + 4 * i);
    if (enterContext(root)) store<u32>(ROOTS + 4 * kept++, root);
  }
  count = kept;
}
