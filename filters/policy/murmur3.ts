// MurmurHash3 (x86, 32 bits): controlplane/policy/murmur3.ts computes the same while compiling.

export function murmur3(start: usize, length: usize, seed: u32): u32 {
  let hash = seed;
  let at = start;
  const body = start + (length & ~3);
  for (; at < body; at += 4) hash = rotl<u32>(hash ^ scramble(load<u32>(at)), 13) * 5 + 0xe6546b64;
  let tail: u32 = 0;
  const left = length & 3;
  if (left > 2) tail = (<u32>load<u8>(at, 2)) << 16;
  if (left > 1) tail |= (<u32>load<u8>(at, 1)) << 8;
  if (left > 0) tail |= load<u8>(at);
  hash ^= scramble(tail) ^ <u32>length;
  hash = (hash ^ (hash >> 16)) * 0x85ebca6b;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35;
  return hash ^ (hash >> 16);
}

function scramble(word: u32): u32 {
  return rotl<u32>(word * 0xcc9e2d51, 15) * 0x1b873593;
}

/** One step of the hash over several keys. */
export function mixKey(hash: u32, key: u32): u32 {
  const mixed = (hash ^ key) * 0x9e3779b1;
  return mixed ^ (mixed >> 15);
}
