// Makes decoded resources read-only for good, so that every stage of the arrow can share them.

function refuse(): never {
  throw new TypeError("This collection is frozen.");
}

const REFUSED = { value: refuse };
/** Freezing a map or set does not keep its entries from being changed, so frozen ones get methods that throw. */
const READ_ONLY_MAP: object = Object.create(Map.prototype, { set: REFUSED, delete: REFUSED, clear: REFUSED });
const READ_ONLY_SET: object = Object.create(Set.prototype, { add: REFUSED, delete: REFUSED, clear: REFUSED });

/**
 * Freezes a tree of plain objects, arrays, maps and sets of words in place and returns it. The bytes of a Uint8Array cannot be frozen
 * and stay as they are.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return value;
  if (value instanceof Map) {
    Object.setPrototypeOf(value, READ_ONLY_MAP);
    for (const entry of value.values()) deepFreeze(entry);
  } else if (value instanceof Set) {
    Object.setPrototypeOf(value, READ_ONLY_SET);
  } else {
    for (const name in value) deepFreeze(value[name]);
  }
  return Object.freeze(value);
}
