// Weighted rendezvous hashing: a user's destination, such that raising one weight moves users to that destination only.

/**
 * How far a hash is from the top, as -log2((hash + 1) / 2^32), in 2^-26ths. A destination of weight w wins when
 * w / distance is the highest; that happens with a chance that is in proportion to w.
 */
export function distanceOf(hash: u32): u64 {
  const value = <u64>hash + 1;
  const whole = 63 - clz(value);
  // value / 2^whole, from 1 up to 2, with 31 bits behind the point.
  let mantissa = (value << 31) >> whole;
  let log = whole;
  for (let i = 0; i < 26; i++) {
    mantissa = (mantissa * mantissa) >> 31;
    log <<= 1;
    if (mantissa >= 2 << 31) {
      mantissa >>= 1;
      log |= 1;
    }
  }
  return ((<u64>32) << 26) - log;
}
