// MurmurHash3 (x86, 32 bits): the hash that the policy image's tables, its checksum and stickiness use.

/** Hash of all bytes as an unsigned 32-bit integer; the filter's filters/policy/murmur3.ts gives the same. */
export function murmur3(bytes: Uint8Array, seed = 0): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const body = bytes.length & ~3;
  let hash = seed;
  for (let i = 0; i < body; i += 4) {
    hash ^= scramble(view.getUint32(i, true));
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let i = bytes.length - 1; i >= body; i--) tail = (tail << 8) | (bytes[i] as number);
  hash ^= scramble(tail) ^ bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scramble(word: number): number {
  const mixed = Math.imul(word, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}

/** Hash of four keys as an unsigned 32-bit integer, for the tables over several keys. */
export function mixKeys(keys: readonly number[]): number {
  let hash = 0;
  for (const key of keys) {
    hash = Math.imul(hash ^ key, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}
