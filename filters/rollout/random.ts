// Pseudo-random numbers: SplitMix64, of one state for each VM. What uses them takes the bits as an argument.

// 64-bit constants in halves: a whole one is no number that JavaScript's tools can read.
const STEP: u64 = ((<u64>0x9e3779b9) << 32) | 0x7f4a7c15;
const MIX_1: u64 = ((<u64>0xbf58476d) << 32) | 0x1ce4e5b9;
const MIX_2: u64 = ((<u64>0x94d049bb) << 32) | 0x133111eb;

let state: u64 = 0;

export function seedRandom(seed: u64): void {
  state = seed;
}

/** 32 random bits. */
export function drawBits(): u32 {
  state += STEP;
  let z = (state ^ (state >> 30)) * MIX_1;
  z = (z ^ (z >> 27)) * MIX_2;
  return <u32>((z ^ (z >> 31)) >> 32);
}

/** A number below limit, as evenly as 32 random bits allow. */
export function scaled(bits: u32, limit: u32): u32 {
  return <u32>((<u64>bits * limit) >> 32);
}
