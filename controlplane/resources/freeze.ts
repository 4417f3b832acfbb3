// Makes decoded resources read-only for good, so that every stage of the arrow can share them.

function refuse(): never {
  throw new TypeError("This map belongs to a frozen resource.");
}

const REFUSED = { value: refuse, enumerable: false };
const READ_ONLY = { set: REFUSED, delete: REFUSED, clear: REFUSED };

/**
 * Freezes a tree of plain objects, arrays and maps in place and returns it. A map's writing methods throw afterwards.
 * The bytes of a Uint8Array cannot be frozen and stay as they are.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return value;
  if (value instanceof Map) {
    for (const entry of value.values()) deepFreeze(entry);
    Object.defineProperties(value, READ_ONLY);
  } else {
    for (const entry of Object.values(value)) deepFreeze(entry);
  }
  return Object.freeze(value);
}
