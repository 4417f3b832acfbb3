// Envoys that take over from one another by Envoy's hot restart: the identity they share, and what they leave behind.
import { randomInt } from "node:crypto";
import { open, rm } from "node:fs/promises";

/** Envoy multiplies a base id by ten, in 32 bits. */
const MOST_BASE_ID = 2 ** 32 / 10 - 1;
/** Of Envoy's shared memory at hot restart version 11: its size, and where the flag is that one is initializing. */
const MEMORY_BYTES = 104;
const FLAGS_AT = 96;

export interface Lineage {
  readonly baseId: number;
  /** The shared memory, which Envoy never deletes. */
  readonly memory: string;
}

export function createLineage(): Lineage {
  const baseId = randomInt(1, Math.floor(MOST_BASE_ID));
  return { baseId, memory: `/dev/shm/envoy_shared_memory_${baseId * 10}` };
}

/** epoch: 0 for the first, one more for each that takes over. */
export function lineageArguments({ baseId }: Lineage, epoch: number, parentShutdownSeconds: number): string[] {
  return [
    ...["--base-id", String(baseId), "--restart-epoch", String(epoch)],
    ...["--parent-shutdown-time-s", String(parentShutdownSeconds)],
  ];
}

/**
 * An Envoy that ends before it has taken over leaves a flag set by which Envoy refuses every later one. Only to be called
 * when none is initializing. Memory of another layout is left alone.
 */
export async function clearInitializing({ memory }: Lineage): Promise<void> {
  const file = await open(memory, "r+").catch(() => undefined);
  if (!file) return;
  try {
    const { size } = await file.stat();
    if (size === MEMORY_BYTES) await file.write(Buffer.alloc(MEMORY_BYTES - FLAGS_AT), 0, undefined, FLAGS_AT);
  } finally {
    await file.close();
  }
}

export async function endLineage({ memory }: Lineage): Promise<void> {
  await rm(memory, { force: true });
}
