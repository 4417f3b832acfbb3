// Makes decoded resources read-only for good, so that every stage of the arrow can share them.

function refuse(): never {
  throw new TypeError("This map belongs to a frozen resource.");
}

/** Freezing a map does not keep its entries from being changed, so frozen maps get methods that throw. */
const READ_ONLY_MAP: object = Object.create(Map.prototype, {
  set: { value: refuse },
  delete: { value: refuse },
  clear: { value: refuse },
});

/**
 * Freezes a tree of plain objects, arrays and maps in place and returns it. The bytes of a Uint8Array cannot be frozen
 * and stay as they are.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return value;
  if (value instanceof Map) {
    Object.setPrototypeOf(value, READ_ONLY_MAP);
    for (const entry of value.values()) deepFreeze(entry);
  } else {
    for (const name in value) deepFreeze(value[name]);
  }
  return Object.freeze(value);
}
