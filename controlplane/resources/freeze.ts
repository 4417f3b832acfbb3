// Makes decoded resources read-only for good, so that every stage of the arrow can share them.

/** Freezing a map does not keep its entries from being changed, so frozen maps get methods that throw. */
class ReadOnlyMap extends Map<unknown, unknown> {
  override set(): never {
    throw new TypeError("This map belongs to a frozen resource.");
  }
  override delete(): never {
    return this.set();
  }
  override clear(): never {
    return this.set();
  }
}

/**
 * Freezes a tree of plain objects, arrays and maps in place and returns it. The bytes of a Uint8Array cannot be frozen
 * and stay as they are.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return value;
  if (value instanceof Map) {
    Object.setPrototypeOf(value, ReadOnlyMap.prototype);
    for (const entry of value.values()) deepFreeze(entry);
  } else {
    for (const name in value) deepFreeze(value[name]);
  }
  return Object.freeze(value);
}
